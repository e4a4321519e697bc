import { readFile, stat } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { isJsonObject, type Json, type JsonObject } from "../base/json.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { absolute } from "./here.ts";

export interface InputOptions {
  readonly input?: readonly string[];
  /** A file, or `-` for stdin. */
  readonly inputs?: string;
  readonly repo?: string;
  /** Text, or `@` and a file. */
  readonly task?: string;
}

/** The inputs of a run from what was typed; `schema` is the workflow's. Later words win over a file's. */
export async function readInputs(options: InputOptions, schema: JsonObject): Promise<JsonObject> {
  const inputs: Record<string, Json> = {};
  if (options.inputs !== undefined) Object.assign(inputs, await readInputsFile(options.inputs));
  for (const pair of options.input ?? []) {
    const at = pair.indexOf("=");
    if (at < 1) throw wrong(`-i ${JSON.stringify(pair)}: expected key=value, e.g. -i name=world`);
    const key = pair.slice(0, at);
    inputs[key] = inputValue(key, pair.slice(at + 1), schema);
  }
  if (options.repo !== undefined) inputs.repo = await existingFolder(options.repo);
  if (options.task !== undefined) inputs.task = inputValue("task", await taskText(options.task), schema);
  return inputs;
}

async function readInputsFile(path: string): Promise<JsonObject> {
  const name = path === "-" ? "stdin" : path;
  const source = path === "-" ? await text(process.stdin) : await readText(path, "--inputs");
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw wrong(`--inputs: ${name} is not JSON: ${(error as Error).message}`);
  }
  if (!isJsonObject(value)) throw wrong(`--inputs: ${name} is not a JSON object`);
  return value;
}

async function taskText(task: string): Promise<string> {
  const words = task.startsWith("@") ? await readText(task.slice(1), "--task") : task;
  if (words.trim() === "") throw wrong("--task is empty; say what is wanted, or name a file with @FILE");
  return words;
}

export async function readText(path: string, option: string): Promise<string> {
  try {
    return await readFile(absolute(path), "utf8");
  } catch (error) {
    throw wrong(`${option}: ${path} cannot be read: ${(error as Error).message}`);
  }
}

async function existingFolder(path: string): Promise<string> {
  const folder = absolute(path);
  const found = await stat(folder).catch(() => null);
  if (found?.isDirectory()) return folder;
  throw wrong(`--repo: ${folder} ${found === null ? "does not exist" : "is not a folder"}`);
}

/** Text stays text where the schema takes text; everything else is JSON. What the schema does not know, it refuses itself. */
function inputValue(key: string, value: string, schema: JsonObject): Json {
  const types = typesOf(isJsonObject(schema.properties) ? schema.properties[key] : undefined);
  const json = parsed(value);
  if (types.size === 0) return json === undefined ? value : json;
  const structured = typeof json === "object" && json !== null;
  if (types.has("string") && !(structured && types.has(Array.isArray(json) ? "array" : "object")))
    return value;
  if (json !== undefined) return json;
  const wanted = [...types].join(" or ");
  throw wrong(`-i ${key}=${value}: expected ${wanted}, written as JSON`);
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** The types that a property's schema allows; none when it does not say. */
function typesOf(schema: Json | undefined): ReadonlySet<string> {
  if (!isJsonObject(schema)) return new Set();
  const own = [schema.type ?? []].flat().filter((type) => typeof type === "string");
  const listed = Array.isArray(schema.enum) ? schema.enum.map(typeOf) : [];
  const branches = [schema.anyOf, schema.oneOf].flatMap((branch) => (Array.isArray(branch) ? branch : []));
  const types = new Set([...own, ...listed, ...branches.flatMap((branch) => [...typesOf(branch)])]);
  return types;
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function wrong(message: string): FailureError {
  return new FailureError(failure("invalid_input", message));
}
