import { isJsonObject } from "../../base/json.ts";
import type { Parts } from "../parts.ts";

export interface PastFailureQuery {
  /** The run that asks; not its own past. */
  readonly run: string;
  readonly tenant: string;
  readonly workflow: string;
  /** Only failures on this repository, when given. */
  readonly repo: string | null;
  readonly task: string;
}

export interface PastFailure {
  readonly run: string;
  readonly code: string;
  readonly message: string;
}

const LOOKED_AT = 40;
const SHOWN = 3;

/** The latest failures that may teach the next run something: same tenant and repository, those of a like task first. */
export async function pastFailures(
  parts: Pick<Parts, "reader">,
  query: PastFailureQuery,
): Promise<readonly PastFailure[]> {
  const filter = { status: ["failed"], tenant: query.tenant, workflow: query.workflow } as const;
  const failed = await parts.reader.runs({ filter, after: null, limit: LOOKED_AT });
  const words = wordsOf(query.task);
  const found: { readonly failure: PastFailure; readonly likeness: number }[] = [];
  for (const run of failed) {
    if (run.id === query.run || run.failure === null) continue;
    if (query.repo !== null && (await repoOf(parts, run.id)) !== query.repo) continue;
    const { code, message } = run.failure;
    found.push({ failure: { run: run.id, code, message }, likeness: shared(words, wordsOf(run.title)) });
  }
  // Stable: among equally like ones the newest stays first.
  return found
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, SHOWN)
    .map((one) => one.failure);
}

async function repoOf(parts: Pick<Parts, "reader">, run: string): Promise<string | null> {
  const [first] = (await parts.reader.factsOf(run, { after: 0, limit: 1 })) ?? [];
  const inputs = first?.kind === "run_queued" ? first.request.inputs : null;
  return isJsonObject(inputs) && typeof inputs.repo === "string" ? inputs.repo : null;
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []);
}

function shared(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return [...a].filter((word) => b.has(word)).length;
}
