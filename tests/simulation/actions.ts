import type { Json } from "../../src/base/json.ts";
import type { Action, ActionContext, Actions } from "../../src/contracts/action.ts";
import type { EffectClass } from "../../src/domain/effect.ts";
import { FailureError, failure, ok } from "../../src/domain/errors.ts";
import { pick } from "./random.ts";

/** The world outside: what was done to it, which no crash undoes. */
export interface Outside {
  /** Performances in order: `run/step/attempt/key`, and by which process. */
  readonly performed: {
    readonly id: string;
    readonly effect: EffectClass;
    readonly key: string;
    readonly process: number;
  }[];
}

interface SimParts {
  readonly outside: Outside;
  readonly random: () => number;
  readonly process: number;
  /** Told before an effect touches the world: the harness checks that it may. */
  readonly onPerform: (performed: {
    readonly run: string;
    readonly step: string;
    readonly attempt: number;
    readonly key: string;
    readonly effect: EffectClass;
  }) => void;
}

function action(name: string, perform: (input: Json, context: ActionContext) => Promise<Json>): Action {
  return { name, description: name, input: {}, output: {}, parse: (input) => ok(input), perform };
}

/** A pause that ends with its process, like any real wait. */
function wait(context: ActionContext, ms: number): Promise<void> {
  return new Promise((resolve) => context.clock.after(ms, resolve));
}

export function simulatedActions(parts: SimParts): Actions {
  const effect = async (
    context: ActionContext,
    of: { readonly key: string; readonly effect: EffectClass; readonly fail: boolean },
  ) => {
    const id = `${context.run.id}/${context.step.id}/${context.step.attempt}/${of.key}`;
    const did = () => parts.outside.performed.some((one) => one.id === id);
    return context.once(of.key, {
      effect: of.effect,
      request: { key: of.key },
      label: of.key,
      perform: async () => {
        await wait(context, Math.floor(parts.random() * 20));
        context.signal.throwIfAborted();
        parts.onPerform({
          run: context.run.id,
          step: context.step.id,
          attempt: context.step.attempt,
          key: of.key,
          effect: of.effect,
        });
        parts.outside.performed.push({ id, effect: of.effect, key: of.key, process: parts.process });
        await wait(context, Math.floor(parts.random() * 20));
        if (of.fail) throw new FailureError(failure("model_overloaded", "the world said no"));
        return { did: of.key };
      },
      query: async () => (did() ? { did: of.key } : null),
    });
  };
  const all: Action[] = [
    action("effects", async (_, context) => {
      for (let n = 0; n < 3; n += 1) {
        const kind = pick(() => hashed(`${context.run.id}${context.step.id}${n}`), [
          "pure",
          "idempotent",
          "query",
          "manual",
        ] as const);
        await effect(context, { key: `e${n}`, effect: kind, fail: false });
      }
      return { ok: true };
    }),
    action("flaky", async (_, context) => {
      const fails = context.step.attempt < 3 && hashed(`${context.run.id}${context.step.attempt}`) < 0.6;
      await effect(context, { key: "call", effect: "pure", fail: fails });
      return null;
    }),
    action("sleep", async (_, context) => {
      await context.sleep("nap", 5_000);
      return null;
    }),
    action("listen", async (_, context) => {
      const heard = await context.waitForSignal("go", { name: "go", timeoutMs: 600_000 });
      return { heard: heard !== null };
    }),
    action("ask", async (_, context) =>
      context.askApproval("may-i", { title: "May I?", details: null, risk: "low", timeoutMs: 300_000 }),
    ),
    action("spawn", async (_, context) => {
      const child = await context.startChild("child", { workflow: "leaf", inputs: {} });
      const ended = await context.waitForChild("child", child);
      return { status: ended?.status ?? "?" };
    }),
    action("tell", async (input, context) => {
      const to = (input as { to?: string }).to ?? context.run.id;
      await context.send("hello", { to, name: "go", body: { from: context.run.id } });
      return null;
    }),
    action("slow", async (_, context) => {
      await wait(context, 30_000);
      context.signal.throwIfAborted();
      return null;
    }),
    action("noop", async (input) => input),
  ];
  return { get: (name) => all.find((one) => one.name === name) ?? null, list: () => all };
}

/** A number in [0, 1) that is the same for the same text: choices that must survive a crash. */
export function hashed(text: string): number {
  let hash = 2_166_136_261;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_519) >>> 0;
  return (hash >>> 0) / 4_294_967_296;
}
