// The provider, in a process of its own with books of its own. Prints its URL; ends with its standard input.
import { startFakeModels } from "../../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../../src/adapters/models/script/parse.ts";
import { realClock } from "../../support/real-clock.ts";

/** Of a hundred requests, how many meet an overloaded provider, and how many an answer that breaks off. */
const OVERLOADED = 3;
const BROKEN = 2;

const script = parseScript(
  `
name: pay
turns:
  - when: { last_message_contains: "at length" }
    text: "${"A long answer, of which there are few. ".repeat(20)}"
    usage: { input: 120, output: 200 }
    times: always
  - text: "${"Short. ".repeat(12)}"
    usage: { input: 120, output: 20 }
    times: always
`,
  "pay.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let drawn = 0;
/** Spread evenly and the same in every run. */
const draw = () => {
  drawn += 1;
  return (drawn * 61) % 100;
};

const fake = await startFakeModels({
  scripts: [script.value],
  clock: realClock,
  behave: () => {
    const hundredth = draw();
    const paceMs = 15;
    if (hundredth < OVERLOADED) return { fault: { kind: "overloaded" }, paceMs };
    return hundredth < OVERLOADED + BROKEN ? { fault: { kind: "truncated" }, paceMs } : { paceMs };
  },
});
process.stdout.write(`${fake.url}\n`);
process.stdin.resume();
process.stdin.on("end", () => void fake.close().then(() => process.exit(0)));
