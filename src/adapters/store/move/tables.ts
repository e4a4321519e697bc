/** Of one column in both databases. A truth value is a number in SQLite; it is one here. */
export type ColumnType = "int" | "text" | "bool" | "bytes";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** One table as it moves: the same rows, columns and order of rows whichever database it is in. */
export interface Table {
  readonly name: string;
  /** Names of the columns that order its rows and tell them apart. */
  readonly key: readonly string[];
  readonly columns: readonly Column[];
  /** Rows of one batch: fewer where a row may be large. */
  readonly batch: number;
  readonly spread: Spread | null;
}

/** What is one row here and in SQLite is one a shard in PostgreSQL, so that processes do not wait for one another. */
interface Spread {
  /** What is read instead of the table: one row of all shards. */
  readonly from: string;
  /** The column that tells shards apart, and the value of the one row that is written. */
  readonly column: string;
  readonly value: string;
}

interface Described {
  readonly name: string;
  readonly key: readonly string[];
  /** The migration that brought the table; the first when absent. */
  readonly since?: number;
  /** `name type` each, `name type @3` when a later migration brought it. */
  readonly columns: readonly string[];
  readonly batch?: number;
  readonly spread?: Spread;
}

const BATCH = 2_000;
/** A blob may have some megabytes. */
const BLOBS = 64;

/**
 * Every table that moves, those that are referred to before those that refer. A migration that adds a table or a column
 * adds it here, or says in `LEFT_BEHIND` why it stays: a test compares both with the schemas.
 */
const DESCRIBED: readonly Described[] = [
  {
    name: "workflow",
    key: ["hash"],
    columns: ["hash text", "name text", "body text", "source text", "origin text", "saved_at int"],
    batch: BLOBS,
  },
  { name: "workflow_latest", key: ["name"], columns: ["name text", "hash text"] },
  {
    name: "blob",
    key: ["hash"],
    columns: ["hash bytes", "enc text", "size int", "data bytes"],
    batch: BLOBS,
  },
  { name: "lane", since: 2, key: ["id"], columns: ["id int", "labels text"] },
  {
    name: "share",
    since: 2,
    key: ["tenant", "priority"],
    columns: ["tenant text", "priority int", "vt int"],
  },
  {
    name: "floor",
    since: 2,
    key: ["priority"],
    columns: ["priority int", "vt int"],
    spread: {
      from: "(SELECT priority, max(vt) AS vt FROM floor GROUP BY priority) AS floor",
      column: "shard",
      value: "0",
    },
  },
  {
    name: "run",
    key: ["no"],
    columns: [
      "no int",
      "id text",
      "tenant text",
      "queue text",
      "priority int",
      "vt int",
      "workflow text",
      "workflow_version text",
      "workflow_hash text",
      "title text",
      "parent_no int",
      "parent_id text",
      "parent_step text",
      "idem_key text",
      "idem_hash text",
      "status text",
      "paused bool",
      "created_at int",
      "started_at int",
      "ended_at int",
      "deadline_at int",
      "result text",
      "result_blob bytes",
      "lane int @2",
      "gated bool @2",
      "sla text @6",
    ],
  },
  {
    name: "journal",
    key: ["run_no", "seq"],
    columns: [
      "run_no int",
      "seq int",
      "at int",
      "kind text",
      "step text",
      "attempt int",
      "token int",
      "body text",
      "blob bytes",
    ],
  },
  {
    name: "worker",
    key: ["id"],
    columns: [
      "id text",
      "host text",
      "pid int",
      "process_start text",
      "slots int",
      "joined_at int",
      "beat_at int",
      "stalled_at int",
      "labels text @2",
    ],
  },
  {
    name: "ready",
    key: ["run_no"],
    columns: ["priority int", "vt int", "run_no int", "lane int @2", "gated bool @2"],
  },
  { name: "lease", key: ["run_no"], columns: ["run_no int", "token int", "worker text", "at int @2"] },
  { name: "slot", since: 2, key: ["key"], columns: ["key text", "cap int", "held int"] },
  {
    name: "run_slot",
    since: 2,
    key: ["run_no", "key"],
    columns: ["run_no int", "key text", "cap int", "hold text", "held bool"],
  },
  {
    name: "parked",
    since: 2,
    key: ["run_no"],
    columns: ["key text", "lane int", "priority int", "vt int", "run_no int"],
  },
  { name: "rest", key: ["run_no"], columns: ["run_no int", "wake_at int", "waiting_for text"] },
  {
    name: "inbox",
    key: ["ord"],
    columns: [
      "ord int",
      "run_no int",
      "id text",
      "kind text",
      "name text",
      "body text",
      "sender text",
      "at int",
      "consumed bool",
    ],
    batch: 500,
  },
  {
    name: "approval",
    key: ["ord"],
    columns: [
      "ord int",
      "id text",
      "run_no int",
      "step text",
      "title text",
      "details text",
      "risk text",
      "expires_at int",
      "status text",
      "requested_at int",
      "answered_at int",
      "answered_by text",
      "comment text",
    ],
  },
  {
    name: "schedule",
    since: 3,
    key: ["id"],
    columns: [
      "id text",
      "workflow text",
      "origin text",
      "spec text",
      "status text",
      "created_at int",
      "created_by text",
      "cursor_at int",
      "next_at int",
    ],
    batch: BLOBS,
  },
  {
    name: "firing",
    since: 3,
    key: ["schedule", "due_at"],
    columns: ["schedule text", "due_at int", "state text", "run text", "detail text", "at int"],
  },
  {
    name: "spend_account",
    since: 4,
    key: ["key"],
    columns: [
      "key text",
      "committed int",
      "held int",
      "presumed int",
      "risk int",
      "warned bool",
      "changed_at int",
    ],
  },
  {
    name: "spend",
    since: 4,
    key: ["id"],
    columns: [
      "id text",
      "tenant text",
      "principal text",
      "path text",
      "model text",
      "stage text",
      "state text",
      "accounts text",
      "reserved int",
      "ceiling int",
      "accrued int",
      "charged int",
      "estimated bool",
      "late bool",
      "unpriced bool",
      "input int",
      "output int",
      "at int",
      "expires_at int",
      "ended_at int",
    ],
  },
  {
    name: "schedule_event",
    since: 3,
    key: ["schedule", "seq"],
    columns: ["schedule text", "seq int", "at int", "kind text", "by text", "detail text"],
  },
];

/** Tables that do not move, and why. */
export const LEFT_BEHIND: Readonly<Record<string, string>> = {
  meta: "the schema's own version, which the target has",
  counter: "counted anew from what was copied; its sequences go on above the copied ones",
  receipt: "of connections, which end with their process",
  waiting: "counted anew",
  served: "of the last minutes, and fading",
  pruning: "empty outside a transaction",
  member: "of processes, which work on one database",
  leader: "of the same processes; the target's own terms grow",
  rate: "counts of the last minutes, which a new database begins anew",
  live_watch: "who reads at this moment",
  live_event: "seen now or never",
  model_health: "of the last minutes, and of these processes",
  moving: "the progress of a copy into this database",
};

/** Columns that one database needs for itself: `table.column`. */
export const LEFT_COLUMNS: Readonly<Record<string, string>> = {
  "journal.id": "SQLite's order of arrival, for readers that wait",
  "share.waiting": "counted anew",
  "floor.shard": "PostgreSQL's own way not to wait",
  "workflow.ord": "SQLite's row number",
};

/** What moves from a database of the given schema version. */
export function tablesAt(schema: number): readonly Table[] {
  return DESCRIBED.filter(({ since = 1 }) => since <= schema).map((table) => ({
    name: table.name,
    key: table.key,
    columns: table.columns.flatMap((text) => columnAt(text, schema)),
    batch: table.batch ?? BATCH,
    spread: table.spread ?? null,
  }));
}

function columnAt(text: string, schema: number): readonly Column[] {
  const [name = "", type = "", since = "@1"] = text.split(" ");
  return Number(since.slice(1)) <= schema ? [{ name, type: type as ColumnType }] : [];
}

/** One value of a row; a truth value is a boolean. */
export type Cell = string | number | boolean | Uint8Array | null;
export type Row = readonly Cell[];

/** The values of a row's key: where to go on after it. */
export function keyOf(table: Table, row: Row): Row {
  return table.key.map((name) => row[table.columns.findIndex((column) => column.name === name)] ?? null);
}

/** One row as one line of JSON, the same for the same row wherever it is: what is hashed, and what a dump holds. */
export function lineOf(row: Row): string {
  return JSON.stringify(
    row.map((cell) => (cell instanceof Uint8Array ? { b64: Buffer.from(cell).toString("base64") } : cell)),
  );
}

/** The row of such a line; throws a `SyntaxError` for anything else. */
export function rowOf(line: string): Row {
  const cells = JSON.parse(line) as unknown;
  if (!Array.isArray(cells)) throw new SyntaxError("a row is an array");
  return cells.map((cell: unknown): Cell => {
    if (cell === null || typeof cell === "string" || typeof cell === "number" || typeof cell === "boolean") {
      return cell;
    }
    const { b64 } = cell as { readonly b64?: unknown };
    if (typeof b64 !== "string") throw new SyntaxError("a cell is a value or bytes");
    return Buffer.from(b64, "base64");
  });
}
