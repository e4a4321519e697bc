// agent-runner as a library: an action of your own, a workflow that uses it, a run, its result.
import { z } from "zod";
import { defineAction, openRunner } from "../src/index.ts";

const greet = defineAction({
  name: "greet",
  description: "Says hello.",
  input: z.object({ name: z.string() }),
  output: z.object({ text: z.string() }),
  perform: async ({ name }, context) => ({
    text: await context.once("hello", {
      effect: "idempotent",
      request: { name },
      label: `greet ${name}`,
      perform: async () => `Hello, ${name}!`,
    }),
  }),
});

const runner = await openRunner({ dataDir: "./data", actions: [greet] });
await runner.addWorkflow(`
name: hello-library
version: "1"
description: Greets somebody.
inputs:
  name: { type: string, required: true }
steps:
  - id: greet
    uses: greet
    with: { name: "\${{ inputs.name }}" }
outputs:
  text: "\${{ steps.greet.outputs.text }}"
`);
const run = await runner.start("hello-library", { name: "Ada" });
for await (const fact of runner.facts(run.id)) console.error(fact.seq, fact.kind); // as they come, until its end
console.log((await runner.wait(run.id)).output); // { text: 'Hello, Ada!' }
await runner.close();
