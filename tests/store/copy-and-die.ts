import { copyDatabase, parsePlace } from "../../src/app/moving.ts";

/** Copies, and is killed at its n-th step as `kill -9` would: node copy-and-die.ts FROM TO STEPS BATCH */
const [from = "", to = "", steps = "0", batch = "100"] = process.argv.slice(2);
let left = Number(steps);
await copyDatabase({
  from: parsePlace(from, "--from"),
  to: parsePlace(to, "--to"),
  live: false,
  batch: Number(batch),
  onStep: () => {
    left -= 1;
    if (left === 0) process.kill(process.pid, "SIGKILL");
  },
});
process.stdout.write("done\n");
