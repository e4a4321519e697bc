import { constants } from "node:os";
import { EXIT } from "./exit.ts";

export type StopSignal = "SIGINT" | "SIGTERM";

const CODES: Readonly<Record<StopSignal, number>> = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };

/** Calls `first` at the first Ctrl-C or SIGTERM; the second one ends the process at once. Returns how to let go. */
export function onStop(first: (signal: StopSignal) => void): () => void {
  let asked = false;
  const handler = (signal: StopSignal) => {
    if (asked) process.exit(CODES[signal]);
    asked = true;
    first(signal);
  };
  process.on("SIGINT", handler);
  process.on("SIGTERM", handler);
  return () => {
    process.off("SIGINT", handler);
    process.off("SIGTERM", handler);
  };
}

/** Calls back on SIGHUP, where the platform means by it what everybody does. */
export function onReload(reload: () => void): () => void {
  const known = process.platform !== "win32" && "SIGHUP" in constants.signals;
  if (known) process.on("SIGHUP", reload);
  return () => {
    if (known) process.off("SIGHUP", reload);
  };
}
