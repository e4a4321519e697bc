import { afterAll, expect, it } from "vitest";
import { z } from "zod";
import type { ModelProvider, ModelRequest } from "../../src/contracts/model-provider.ts";
import { NO_USAGE } from "../../src/domain/message.ts";
import { defineAction } from "../../src/index.ts";
import { Playground } from "./playground.ts";

const play = new Playground();
afterAll(() => play.close());

const OWN = "open-sesame-open-sesame";
const TOKEN = `ghp_${"aB3x".repeat(9)}`;

const asked: ModelRequest[] = [];
/** Gives back the last word that it was sent: whatever leaks comes out again. */
const echo: ModelProvider = {
  name: "echo",
  generate: async (request) => {
    asked.push(request);
    const last = request.messages.at(-1);
    const text = last?.role === "user" ? last.text : "";
    const usage = { ...NO_USAGE, input: 1, output: 1 };
    const reply = { text, toolCalls: [], reasoning: "", finish: "stop" as const, usage };
    return { ok: true, reply: { ...reply, model: request.model, firstTokenMs: 1, ms: 1 } };
  },
  health: async () => ({ status: "ok", detail: "here" }),
  models: async () => ["m"],
};
const keep = defineAction({
  name: "keep",
  description: "Saves what it is given as an artifact.",
  input: z.object({ given: z.string() }),
  output: z.object({ id: z.string() }),
  perform: async (input, context) => {
    const file = { name: "kept.json", kind: "note", mediaType: "application/json" };
    const { id } = await context.saveArtifact({ ...file, content: JSON.stringify(input) });
    return { id };
  },
});

it("a secret that a run is given reaches neither a model, nor an event, nor an artifact", async () => {
  const runner = await play.runner({
    providers: [echo],
    actions: [keep],
    env: { DEPLOY_PASSWORD: OWN, AGENT_RUNNER_LOG: "silent" },
  });
  await runner.addWorkflow(`
name: leak
version: 1
description: Passes on what it is given.
inputs:
  text: { type: string, required: true }
steps:
  - id: say
    uses: model
    with: { prompt: "\${{ inputs.text }}", use: echo/m }
  - id: keep
    uses: keep
    needs: say
    with: { given: "\${{ inputs.text }}" }
outputs:
  said: \${{ steps.say.outputs.text }}
`);
  const { id } = await runner.start("leak", { text: `log in with ${OWN} or ${TOKEN}` });
  const ended = await runner.wait(id);
  expect(ended).toMatchObject({
    status: "completed",
    output: { said: "log in with [redacted:DEPLOY_PASSWORD] or [redacted:github-token]" },
  });
  expect(JSON.stringify(asked)).not.toMatch(/sesame|ghp_/);
  const facts = [];
  for await (const fact of runner.facts(id)) facts.push(fact);
  expect(JSON.stringify(facts)).not.toMatch(/sesame|ghp_/);
  const call = facts.find((fact) => fact.kind === "effect_recorded" && fact.key === "model");
  expect(call).toMatchObject({
    result: { value: { record: { redacted: { DEPLOY_PASSWORD: 1, "github-token": 1 } } } },
  });
  const kept = Buffer.from(await runner.artifact(id, "kept.json")).toString();
  expect(JSON.parse(kept)).toEqual({
    given: "log in with [redacted:DEPLOY_PASSWORD] or [redacted:github-token]",
  });
  expect(facts).toContainEqual(
    expect.objectContaining({
      kind: "noted",
      name: "artifact_redacted",
      data: { artifact: "kept.json", kinds: { DEPLOY_PASSWORD: 1, "github-token": 1 } },
    }),
  );
});
