/** An agent as its file describes it (`agents/*.md`: front matter, body is the prompt). */
export interface AgentSpec {
  readonly name: string;
  readonly description: string;
  /** Requests in free words that this is for. */
  readonly examples?: readonly string[];
  readonly model: {
    /** `provider/model`; absent means the configured default. */
    readonly use?: string;
    /** Which kind of work it is, for models chosen by stage. */
    readonly stage: "context" | "retrieval" | "plan" | "execute" | "review" | "summarise";
    readonly maxOutputTokens: number;
    readonly temperature?: number;
  };
  /** Names of tools it may call. */
  readonly tools: readonly string[];
  readonly limits: {
    readonly turns: number;
    readonly tokens: number;
    readonly costUsd?: number;
    readonly wallTimeMs: number;
    readonly repairRounds: number;
    /** Tokens of the repository map put in front; 0 for none. */
    readonly contextTokens: number;
    /** History above this many tokens is compacted. */
    readonly compactAtTokens: number;
  };
  readonly validation: {
    /** Whether an answer counts only with green gates newer than the last write. */
    readonly gates: boolean;
    readonly minChars?: number;
    /** Headings or phrases that must occur in the final answer. */
    readonly mustMention?: readonly string[];
    /** Whether ending without any change in the repository is an honest end. */
    readonly mayChangeNothing: boolean;
  };
  /** The system prompt. */
  readonly prompt: string;
  /** Hex sha-256 of the file's content. */
  readonly hash: string;
}
