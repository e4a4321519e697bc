import type { AgentSpec } from "../domain/agent.ts";
import type { Payer } from "../domain/budget.ts";
import type { Cuts } from "../domain/cap-prompt.ts";
import type { Failure } from "../domain/errors.ts";
import type { Usage } from "../domain/message.ts";
import type { Found } from "../domain/redact.ts";
import type { BlockKind, PolicyName, QualityTier, ScoredCandidate } from "../domain/routing.ts";
import type { ModelCallOptions, ModelReply, ModelRequest, ProviderHealth } from "./model-provider.ts";

export interface GatewayRequest extends Omit<ModelRequest, "model"> {
  /** `provider/model`, or several, separated by commas; absent means those of the stage. */
  readonly use?: string;
  readonly stage: AgentSpec["model"]["stage"];
  /** Instead of the configured policy. */
  readonly policy?: PolicyName;
  /** No candidate below this tier is asked. */
  readonly minQuality?: QualityTier;
  /** When no candidate has room for the prompt: `cut` (when absent) its longest texts visibly, or `fail`. */
  readonly tooLong?: "cut" | "fail";
}

/** What a call did to the budgets that hold for it. Micro-dollars, of all its attempts together. */
export interface CallBudget {
  readonly reserved: number;
  readonly settled: number;
  /** Part of what was settled is an estimate, of attempts that were taken back or broke off. */
  readonly estimated: boolean;
  /** `the day's budget of tenant acme`, …: all that it was booked on. */
  readonly scopes: readonly string[];
  /** Soft caps that this call crossed, in words; each is told once, to one call. */
  readonly warnings?: readonly string[];
  /** It outlived what it held, so its end was booked late. */
  readonly late?: true;
  /** Nobody knows what it cost: the price of one of its models is unknown. */
  readonly unpriced?: true;
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
    /** `ok`, the code of its failure, or `hedge_lost` when another one was faster and this one was taken back. */
    readonly code: string;
    /** It was started beside another one that was late. */
    readonly hedge?: true;
    /** It was taken back, so what it used is an estimate. */
    readonly estimated?: true;
  }[];
  /** Name of the routing policy; `custom` for weights of one's own. */
  readonly policy: string;
  /** Every candidate as it was seen when the last attempt was routed. */
  readonly candidates: readonly ScoredCandidate[];
  /** Why the last attempt went where it went. */
  readonly reason: string;
  /** Of all attempts together. */
  readonly usage: Usage;
  /** Micro-US-dollars of all attempts; `null` when the price of one is unknown. */
  readonly costMicros: number | null;
  /** Whether usage and cost contain estimates, of attempts that were taken back. */
  readonly estimated: boolean;
  readonly firstTokenMs: number;
  readonly ms: number;
  /** How often an answer that broke off was gone on with; absent when it came in one. */
  readonly continued?: number;
  /** How often a secret of each kind was taken out of the prompt; absent when none was. */
  readonly redacted?: Found;
  /** What was cut out of the prompt because no candidate had room for it; absent when nothing was. Tokens by estimate. */
  readonly capped?: Cuts & {
    readonly budgetTokens: number;
    readonly beforeTokens: number;
    readonly afterTokens: number;
  };
  /** Absent where no budget holds. */
  readonly budget?: CallBudget;
}

export type GatewayResult =
  | { readonly ok: true; readonly reply: ModelReply; readonly record: CallRecord }
  | { readonly ok: false; readonly failure: Failure; readonly record: CallRecord };

export interface GatewayCallOptions extends ModelCallOptions {
  /** Whose budgets hold; absent: only everybody's. */
  readonly payer?: Payer;
  readonly onHeartbeat?: (idleMs: number) => void;
  /**
   * What `onDelta` said so far is void, and another attempt begins. With it, an answer that breaks off is tried again;
   * without it, it is the end of a call whose `onDelta` has said something, since no text may be said twice.
   */
  readonly onRestart?: () => void;
}

/** What this process knows of a model, from using it or from others that do. Times in ms; `null` for what was never seen. */
export interface ModelHealthView {
  readonly state: "ok" | "unused" | "probing" | BlockKind;
  readonly detail: string;
  readonly ttftMs: number | null;
  readonly ttftP95Ms: number | null;
  /** Between two tokens. */
  readonly gapMs: number | null;
  /** In [0, 1]; forgets within minutes. */
  readonly errorRate: number;
  readonly inFlight: number;
  /** Calls at a time, learnt from rate limits; `null` when none was met. */
  readonly concurrencyLimit: number | null;
  /** Of this process's own use. */
  readonly samples: number;
  /** The process that it has its state from; `null` when it found out itself. */
  readonly from: string | null;
}

/** A model of the catalogue, of the configuration, or seen in use. */
export interface ModelView {
  readonly provider: string;
  readonly model: string;
  /** Whether its provider is configured. */
  readonly available: boolean;
  /** For which stages it is a candidate. */
  readonly stages: readonly string[];
  readonly tools: boolean;
  readonly json: boolean;
  readonly contextTokens: number | null;
  readonly quality: QualityTier;
  /** Micro-US-dollars per million tokens; `null` when unknown. */
  readonly price: {
    readonly input: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
    readonly output: number;
  } | null;
  readonly health: ModelHealthView;
}

/** The one way from an agent to a model. Must not throw. */
export interface ModelGateway {
  call(request: GatewayRequest, options: GatewayCallOptions): Promise<GatewayResult>;
  /** What a request would be sent to (of several candidates the first), or why it cannot be: checked before any work is done. */
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
      /** Of its models that were used. */
      readonly live: readonly ({ readonly model: string } & ModelHealthView)[];
    }[]
  >;
  models(): readonly ModelView[];
}
