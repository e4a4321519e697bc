export type Store =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string };

export interface CallerOrder {
  readonly self: string;
  readonly store: Store;
  readonly fake: string;
  readonly leaseMs: number;
  /** A store that is slow does not count as away. */
  readonly patient: boolean;
}

export interface CallerWish {
  readonly id: number;
  readonly wish: "call" | "states";
}

/** Of a wish; that of 0 says that the process is ready. */
export interface CallerAnswer {
  readonly id: number;
  readonly ok?: boolean;
  /** `<model> <code>` of each attempt. */
  readonly attempts?: readonly string[];
  /** State of each model, and from which process that is known. */
  readonly states?: Readonly<Record<string, readonly [string, string | null]>>;
}
