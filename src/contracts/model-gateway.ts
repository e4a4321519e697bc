import type { AgentSpec } from "../domain/agent.ts";
import type { Failure } from "../domain/errors.ts";
import type { Usage } from "../domain/message.ts";
import type { ModelCallOptions, ModelReply, ModelRequest, ProviderHealth } from "./model-provider.ts";

export interface GatewayRequest extends Omit<ModelRequest, "model"> {
  /** `provider/model`; absent means the default of the stage. */
  readonly use?: string;
  readonly stage: AgentSpec["model"]["stage"];
}

/** What is kept of a call beside its answer: enough to explain it later. */
export interface CallRecord {
  readonly provider: string;
  readonly model: string;
  readonly stage: string;
  readonly attempts: readonly {
    readonly provider: string;
    readonly model: string;
    readonly ms: number;
    readonly code: string;
  }[];
  readonly usage: Usage;
  /** Micro-US-dollars; `null` when the model's price is unknown. */
  readonly costMicros: number | null;
  readonly firstTokenMs: number;
  readonly ms: number;
}

export type GatewayResult =
  | { readonly ok: true; readonly reply: ModelReply; readonly record: CallRecord }
  | { readonly ok: false; readonly failure: Failure; readonly record: CallRecord };

/** The one way from an agent to a model. Must not throw. */
export interface ModelGateway {
  call(
    request: GatewayRequest,
    options: ModelCallOptions & { readonly onHeartbeat?: (idleMs: number) => void },
  ): Promise<GatewayResult>;
  /** What a request would be sent to, or why it cannot be: checked before any work is done. */
  resolve(
    use: string | undefined,
    stage: string,
  ):
    | { readonly ok: true; readonly provider: string; readonly model: string }
    | { readonly ok: false; readonly failure: Failure };
  providers(signal: AbortSignal): Promise<
    readonly {
      readonly name: string;
      readonly health: ProviderHealth;
      readonly models: readonly string[];
      readonly isDefault: boolean;
    }[]
  >;
}
