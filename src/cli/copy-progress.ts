import { formatDuration } from "../base/duration.ts";
import type { Terminal } from "./terminal.ts";

/** As a copy tells it. */
interface Step {
  readonly phase: "copy" | "compare";
  readonly table: string;
  readonly rows: number;
  readonly total: number;
}

const CLEAR = "\r\u001B[2K";
/** Between two lines where nothing can be redrawn. */
const SAY_EVERY_MS = 5_000;
const DRAW_EVERY_MS = 100;

/** How far a copy is, how fast, and how long it will take. */
export function copyProgress(terminal: Terminal): {
  readonly step: (step: Step) => void;
  readonly close: () => void;
} {
  let phase: Step["phase"] | null = null;
  let since = 0;
  let before = 0;
  let told = 0;
  const line = ({ table, rows, total }: Step, now: number): string => {
    const rate = ((rows - before) * 1_000) / Math.max(1, now - since);
    const left = rate > 0 ? formatDuration(Math.round(((total - rows) * 1_000) / rate)) : "?";
    const share = total === 0 ? 100 : Math.floor((rows * 100) / total);
    const verb = phase === "copy" ? "copying" : "comparing";
    return `${verb} ${table}: ${rows} of ${total} rows (${share} %), ${Math.round(rate)} rows/s, ${left} left`;
  };
  return {
    step(step) {
      const now = performance.now();
      if (step.phase !== phase) {
        phase = step.phase;
        since = now;
        before = step.rows;
        told = now;
        return;
      }
      if (now - told < (terminal.live ? DRAW_EVERY_MS : SAY_EVERY_MS)) return;
      told = now;
      if (terminal.live) terminal.draw(`${CLEAR}${line(step, now).slice(0, terminal.width - 1)}`);
      else terminal.say(line(step, now));
    },
    close: () => terminal.draw(CLEAR),
  };
}
