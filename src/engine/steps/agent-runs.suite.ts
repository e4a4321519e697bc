import { afterEach } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import type { Message } from "../../domain/message.ts";
import { agentAction } from "./agent.ts";
import { act, contextOver, type Ended, Journal, type Life } from "./harness.suite.ts";
import { makeWorld, type World, type WorldOptions } from "./world.suite.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

export function worldOf(options: WorldOptions): World {
  const world = makeWorld(options);
  worlds.push(world);
  return world;
}

interface Run {
  readonly world: World;
  readonly journal: Journal;
  readonly ended: Ended;
}

export async function run(
  options: WorldOptions,
  more: { input?: JsonObject; life?: Life } = {},
): Promise<Run> {
  const world = worldOf(options);
  const journal = new Journal();
  const ended = await perform(world, journal, more);
  return { world, journal, ended };
}

export function perform(
  world: World,
  journal: Journal,
  more: { input?: JsonObject; life?: Life } = {},
): Promise<Ended> {
  const input = { agent: "fixer", task: "Make the answer 42.", workspace: world.wire, ...more.input };
  return act(agentAction(world.parts), input, contextOver(journal, more.life));
}

export function output(ended: Ended): JsonObject {
  if (!ended.ok) throw new Error(`${ended.failure.code}: ${ended.failure.message}`);
  return ended.output;
}

export function failureOf(ended: Ended) {
  if (ended.ok) throw new Error("it succeeded");
  return ended.failure;
}

/** What the model was shown in its last request. */
export function lastShown(world: World): readonly Message[] {
  return world.gateway.requests.at(-1)?.messages ?? [];
}

export function textOf(message: Message | undefined): string {
  if (message?.role === "tool") return message.results.map((result) => result.text).join("\n");
  return message?.text ?? "";
}
