import type { JsonObject } from "../base/json.ts";

/** Something a run leaves: content by hash, name and kind by fact. */
export interface Artifact {
  /** Unique in the run, safe in a URL and a file name, e.g. `diff.patch` or `gate-lint-2.txt`. */
  readonly id: string;
  readonly name: string;
  /** `diff`, `report`, `transcript`, `gates`, `log`, `run` or a plugin's own. */
  readonly kind: string;
  readonly mediaType: string;
  readonly bytes: number;
  /** Hex sha-256 of the content. */
  readonly sha256: string;
  readonly metadata?: JsonObject;
}
