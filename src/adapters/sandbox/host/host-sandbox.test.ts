import { tmpdir } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { sandboxLaws } from "../../../contracts/sandbox.suite.ts";
import { createHostSandbox } from "./host-sandbox.ts";

const LINUX = process.platform === "linux";
const POSIX = process.platform !== "win32";

sandboxLaws({ open: () => createHostSandbox(), endsEscapedProcesses: LINUX });

describe("the host sandbox", () => {
  const escaped: number[] = [];
  afterEach(() => {
    for (const pid of escaped.splice(0)) process.kill(pid, "SIGKILL");
  });
  const run = (shell: string, timeoutMs = 20_000) => {
    const command = { run: { shell }, cwd: tmpdir(), timeoutMs, maxOutputBytes: 10_000 };
    return createHostSandbox({ passNames: ["PASSED_BY_NAME"] }).run(command, {
      signal: new AbortController().signal,
    });
  };

  it.runIf(LINUX)(
    "does not wait for a process that hid from it, which lives on: its known limit",
    async () => {
      const answer = await run(
        "read pid < <(env -i setsid sh -c 'echo $$; exec sleep 60 >&2'); echo $pid; echo done",
      );
      const stdout = answer.ok ? answer.result.stdout : "";
      escaped.push(Number(/^\d+/.exec(stdout)?.[0]));
      expect(stdout).toMatch(/^\d+\ndone\n$/);
      expect(answer).toMatchObject({ ok: true, result: { exitCode: 0, timedOut: false } });
      expect(answer.ok && answer.result.ms).toBeLessThan(10_000);
      expect(escaped.map((pid) => process.kill(pid, 0))).toEqual([true]);
    },
  );

  it.runIf(POSIX)("stays responsive while a command prints without end", async () => {
    let [ticks, longest, last] = [0, 0, performance.now()];
    const ticking = setInterval(() => {
      const now = performance.now();
      [ticks, longest, last] = [ticks + 1, Math.max(longest, now - last), now];
    }, 5);
    const answer = await run("yes 'a line that is printed for ever'", 1_000);
    clearInterval(ticking);
    expect(answer).toMatchObject({ ok: true, result: { timedOut: true } });
    expect(answer.ok && answer.result.elidedBytes).toBeGreaterThan(1_000_000);
    expect(longest).toBeLessThan(500);
    expect(ticks).toBeGreaterThan(20);
  });

  it.runIf(POSIX)("passes variables that the operator named", async () => {
    process.env.PASSED_BY_NAME = "yes";
    try {
      const answer = await run('echo "[$PASSED_BY_NAME]"');
      expect(answer).toMatchObject({ ok: true, result: { stdout: "[yes]\n" } });
    } finally {
      delete process.env.PASSED_BY_NAME;
    }
  });
});
