import type { Result } from "../../domain/errors.ts";

/** What a reload changed. */
export interface Reloaded {
  /** In force now. `null` is the default. */
  readonly changed: readonly {
    readonly setting: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  /** Settings that are different now and will be in force at the next start. */
  readonly needsRestart: readonly string[];
}

/** This very process, as far as people may steer it. */
export interface Steering {
  /** Its id among the members. */
  readonly member: string;
  /** It takes nothing new any more, and ends soon. */
  draining(): boolean;
  /** Reads the settings again. A wrong one changes nothing. */
  reload(): Promise<Result<Reloaded>>;
}
