// The simulated targets as a real server: `node bench/gateway/replay-server.ts <seed> <models, by target>`. Says its port; the
// first line on its stdin says when the world began (ms since the epoch); ends with its stdin.
import { createInterface } from "node:readline";
import { type Behaviour, startFakeModels } from "../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import { systemClock } from "../../src/app/system-clock.ts";
import { fateOf, restMs, SHORT_INCIDENTS } from "./world.ts";

const [seed = 1] = process.argv.slice(2).map(Number);
const models = (process.argv[3] ?? "").split(",");
// Two pieces: the first word, and the rest after a while.
const script = parseScript(
  "name: m\nturns: [{ times: always, text: one two, usage: { input: 1000, output: 200 } }]",
  "m.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let beganAt = 0;
const server = await startFakeModels({
  scripts: [script.value],
  clock: systemClock,
  behave: ({ model, sent }): Behaviour => {
    const target = models.indexOf(model);
    const request = Number(sent.system);
    const now = Date.now() - beganAt;
    const { ms, end } = fateOf({ seed, request, target, now, incidents: SHORT_INCIDENTS });
    if (end === "never") return { fault: { kind: "hang" } };
    if (end === "529") return { delayMs: ms, fault: { kind: "overloaded" } };
    return { delayMs: ms, paceMs: restMs(seed, request, target) };
  },
});
console.log(new URL(server.url).port);
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  beganAt = Number(line);
});
lines.once("close", () => process.exit(0));
