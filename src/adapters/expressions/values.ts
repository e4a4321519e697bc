import { Optional } from "@marcbachmann/cel-js";
import { isJsonObject, type Json } from "../../base/json.ts";
import { LIMITS } from "../../domain/limits.ts";

/** Why a value cannot cross between JSON and CEL. */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

/**
 * JSON → CEL. Objects become Maps, so that no key can reach a prototype; whole numbers become ints, others doubles.
 */
export function toCel(value: Json, depth = 0): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= LIMITS.jsonDepth) throw new ValueError(`nested deeper than ${LIMITS.jsonDepth} levels`);
  if (Array.isArray(value)) return value.map((item: Json) => toCel(item, depth + 1));
  return new Map(Object.entries(value).map(([key, member]) => [key, toCel(member, depth + 1)]));
}

/** CEL → JSON. Throws a `ValueError` for what JSON has no word for. */
export function fromCel(value: unknown, depth = 0): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "bigint":
      return wholeNumber(value);
    case "number":
      if (Number.isFinite(value)) return value;
      throw new ValueError(`the number ${value} has no JSON form`);
    case "object":
      return fromObject(value, depth);
    default:
      throw new ValueError(`a ${typeof value} is not JSON`);
  }
}

function wholeNumber(value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new ValueError(`the whole number ${value} is too large for JSON; use string(…)`);
}

function fromObject(value: object | null, depth: number): Json {
  if (value === null) return null;
  if (depth >= LIMITS.jsonDepth) throw new ValueError(`nested deeper than ${LIMITS.jsonDepth} levels`);
  if (Array.isArray(value)) return value.map((item) => fromCel(item, depth + 1));
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, member]) => [String(key), fromCel(member, depth + 1)]));
  }
  if (value instanceof Optional) return value.hasValue() ? fromCel(value.value(), depth) : null;
  if (value instanceof Uint8Array) throw new ValueError("bytes are not JSON; use .string() or .base64()");
  if (isJsonObject(value) && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, fromCel(member, depth + 1)]),
    );
  }
  return fromPrimitiveLike(value.valueOf());
}

/** The library's own wrappers are told apart by what they stand for: a uint by a bigint, a moment by milliseconds. */
function fromPrimitiveLike(primitive: unknown): Json {
  if (typeof primitive === "bigint") return wholeNumber(primitive);
  if (typeof primitive === "number") {
    throw new ValueError("a timestamp or duration is not JSON; use one of its get…() methods");
  }
  throw new ValueError("a type is not JSON; compare it instead");
}

/**
 * How much a value is when it is written out: one a value, one a character. A part that is reached twice counts
 * twice, so that a small value that would unfold into a huge one is seen for what it is.
 */
export function weigh(value: unknown, known: WeakMap<object, number>): number {
  if (typeof value === "string") return 1 + value.length;
  if (typeof value !== "object" || value === null) return 1;
  const before = known.get(value);
  if (before !== undefined) return before;
  let weight = 1;
  if (Array.isArray(value)) {
    for (const item of value) weight += weigh(item, known);
  } else if (value instanceof Map) {
    for (const [key, member] of value) weight += weigh(key, known) + weigh(member, known);
  } else if (value instanceof Optional) {
    weight += value.hasValue() ? weigh(value.value(), known) : 0;
  } else if (value instanceof Uint8Array) {
    weight += value.length;
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const [key, member] of Object.entries(value)) weight += key.length + weigh(member, known);
  }
  known.set(value, weight);
  return weight;
}
