import { type Command, InvalidArgumentError } from "commander";
import type { CommonOptions } from "./connect.ts";
import { createTerminal, type Terminal } from "./terminal.ts";

/** One command as it was typed. */
export interface Call<O> {
  readonly terminal: Terminal;
  readonly common: CommonOptions;
  readonly options: O;
}

/** Resolves to the exit code. Whatever it throws is told in one place. */
export type Perform<O, A extends readonly unknown[]> = (call: Call<O>, ...args: A) => Promise<number>;

/** What the commands are added to, and where their exit code goes. */
export interface Cli {
  readonly program: Command;
  act<O, A extends readonly unknown[]>(perform: Perform<O, A>): (...given: unknown[]) => Promise<void>;
}

export function createCli(program: Command, onExit: (code: number) => void): Cli {
  return {
    program,
    act:
      <O, A extends readonly unknown[]>(perform: Perform<O, A>) =>
      async (...given: unknown[]) => {
        const command = given.at(-1) as Command;
        const common = command.optsWithGlobals<CommonOptions>();
        const call = { terminal: createTerminal(common.json === true), common, options: command.opts() as O };
        const args = given.slice(0, -2) as unknown as A;
        onExit(await perform(call, ...args));
      },
  };
}

/** An option's whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** For options that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
