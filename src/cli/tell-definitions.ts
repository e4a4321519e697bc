import type { House } from "../app/house.ts";
import type { Terminal } from "./terminal.ts";
import { plain } from "./text.ts";

/** Says what of the definitions could not be used: it was left out, and nothing else tells. */
export function tellDefinitions(terminal: Terminal, house: House | null): void {
  for (const { file, line, column, message } of house?.problems ?? []) {
    terminal.say(terminal.mark("yellow", `left out: ${plain(`${file}:${line}:${column}: ${message}`)}`));
  }
}

/** Says whose definitions go over the built-in ones. */
export function tellProject(terminal: Terminal, project: string | null): void {
  if (project !== null) terminal.say(terminal.mark("dim", `with the definitions in ${project}`));
}
