import { isJsonObject, type Json, type JsonObject } from "../base/json.ts";
import { FailureError } from "../domain/errors.ts";
import type { Artifact, RunDetail } from "../http/api.ts";
import type { Client } from "./client.ts";

export interface GateLine {
  readonly name: string;
  readonly passed: boolean;
  readonly required: boolean;
  readonly ms: number;
}

export interface FileLine {
  readonly path: string;
  readonly added: number;
  readonly removed: number;
}

/** What a run has to show for itself, gathered from its artifacts and outputs. */
export interface Evidence {
  readonly commit: { readonly commit: string; readonly branch: string; readonly message: string } | null;
  /** The latest verdict. */
  readonly gates: readonly GateLine[];
  /** From `diff.patch`; empty when there is none, or it is too large to be read for a summary. */
  readonly diff: readonly FileLine[];
}

/** What the artifact store says of content that it cannot give. */
const LOST: ReadonlySet<string> = new Set(["content_missing", "content_corrupt"]);
const MOST_BYTES = 4_194_304;

export async function evidenceOf(client: Client, detail: RunDetail): Promise<Evidence> {
  const outputs = detail.steps.map((step) => step.output as Json).filter(isJsonObject);
  const committed = outputs.findLast((output) => output.kind === "committed");
  const record = await readJson(client, detail, "run.json");
  const judged = gatesIn(outputs.findLast((output) => gatesIn(output).length > 0));
  const patch = await read(client, detail, "diff.patch");
  return {
    commit: committed ? commitIn(committed) : isJsonObject(record?.commit) ? commitIn(record.commit) : null,
    gates: judged.length > 0 ? judged : lastGates(record),
    diff: patch === null ? [] : diffStat(patch),
  };
}

function commitIn(value: JsonObject): Evidence["commit"] {
  return { commit: text(value.commit), branch: text(value.branch), message: text(value.message) };
}

/** A verdict is a step's output, or a part of it. */
function gatesIn(output: JsonObject | undefined): readonly GateLine[] {
  const verdict = isJsonObject(output?.verdict) ? output.verdict : output;
  if (!Array.isArray(verdict?.gates)) return [];
  return verdict.gates.flatMap((gate) =>
    isJsonObject(gate) && typeof gate.passed === "boolean" ? [lineOf(gate)] : [],
  );
}

function lastGates(record: JsonObject | null): readonly GateLine[] {
  if (!Array.isArray(record?.gates)) return [];
  const gates = record.gates.filter(isJsonObject);
  const step = gates.at(-1)?.step;
  return gates.filter((gate) => gate.step === step).map(lineOf);
}

function lineOf(gate: JsonObject): GateLine {
  const ms = typeof gate.ms === "number" ? gate.ms : 0;
  return { name: text(gate.name), passed: gate.passed === true, required: gate.required !== false, ms };
}

async function read(client: Client, detail: RunDetail, name: string): Promise<string | null> {
  const artifact = detail.artifacts.findLast((one) => one.name === name);
  if (artifact === undefined || artifact.bytes > MOST_BYTES) return null;
  try {
    return Buffer.from(await client.download(downloadPath(detail.id, artifact))).toString("utf8");
  } catch (error) {
    // The rest of the run can still be told.
    if (error instanceof FailureError && LOST.has(error.failure.code)) return null;
    throw error;
  }
}

async function readJson(client: Client, detail: RunDetail, name: string): Promise<JsonObject | null> {
  const source = await read(client, detail, name);
  if (source === null) return null;
  const value = JSON.parse(source) as Json;
  return isJsonObject(value) ? value : null;
}

export function downloadPath(run: string, artifact: Pick<Artifact, "id">): string {
  return `/runs/${encodeURIComponent(run)}/artifacts/${encodeURIComponent(artifact.id)}/download`;
}

/** Lines added and removed in each file of a patch. */
export function diffStat(patch: string): readonly FileLine[] {
  const files: { path: string; added: number; removed: number }[] = [];
  let inHunk = false;
  for (const line of patch.split("\n")) {
    if (line.startsWith("diff --git ")) {
      inHunk = false;
      files.push({ path: / b\/(.*)$/.exec(line)?.[1] ?? line.slice(11), added: 0, removed: 0 });
    }
    if (line.startsWith("@@")) inHunk = true;
    const file = files.at(-1);
    if (!inHunk || !file) continue;
    if (line.startsWith("+")) file.added += 1;
    if (line.startsWith("-")) file.removed += 1;
  }
  return files;
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
