import { type DestinationStream, type Logger, pino } from "pino";
import type { Redactor } from "../domain/redact.ts";
import type { Config } from "./config.ts";

const STDERR = 2;

/** One line of JSON an entry, on standard error, and no secret in it. */
export function createLog(
  level: Config["logLevel"],
  redactor: Redactor,
  destination: DestinationStream = pino.destination(STDERR),
): Logger {
  const safe = { write: (line: string) => destination.write(redactor.text(line, "certain").value) };
  return pino({ level, base: null }, safe);
}
