import { afterEach } from "vitest";
import type { Json, JsonObject } from "../../base/json.ts";
import { act, contextOver, type Ended, Journal, type Life } from "./harness.suite.ts";
import { createActions } from "./registry.ts";
import { makeWorld, type World, type WorldOptions } from "./world.suite.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

export function worldOf(options: WorldOptions = {}): World {
  const world = makeWorld(options);
  worlds.push(world);
  return world;
}

export async function use(
  name: string,
  input: Json,
  more: { readonly world?: World; readonly journal?: Journal; readonly life?: Life } = {},
): Promise<Ended> {
  const world = more.world ?? worldOf({ plain: true });
  const action = createActions(world.parts).get(name);
  if (action === null) throw new Error(`no action ${name}`);
  return act(action, input, contextOver(more.journal ?? new Journal(), more.life));
}

export function output(ended: Ended): JsonObject {
  if (!ended.ok) throw new Error(`${ended.failure.code}: ${ended.failure.message}`);
  return ended.output;
}
