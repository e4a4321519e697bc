import { formatDuration } from "../base/duration.ts";
import type { Line, Tone } from "./story.ts";
import type { Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 120;
const CLEAR = "\r\u001B[2K";
const STYLES: Readonly<Record<Tone, Parameters<Terminal["mark"]>[0] | null>> = {
  plain: null,
  dim: "dim",
  good: "green",
  bad: "red",
  ask: "yellow",
  said: "cyan",
};

/** How far a run is, as the API tells it. */
export interface Place {
  readonly phase: string;
  readonly percent: number;
  /** Guessed ms that are left; `null` when nobody knows. */
  readonly eta_ms: number | null;
}

/** Lines of a run as they come, and below them, on a terminal, where it stands now. */
export interface Progress {
  move(place: Place): void;
  line(line: Line): void;
  /** Text that goes on where the last one ended. */
  stream(text: string): void;
  /** Runs `question` without the status line in its way. */
  aside<T>(question: () => Promise<T>): Promise<T>;
  /** Takes the status line away. */
  close(): void;
}

/** `since` in ms since the epoch. */
export function createProgress(terminal: Terminal, since: number): Progress {
  let place: Place = { phase: "queued", percent: 0, eta_ms: null };
  let frame = 0;
  let streaming = false;
  let hidden = false;
  const elapsed = () => formatDuration(Math.max(0, Date.now() - since)).padStart(6);
  const paint = () => {
    if (streaming || hidden) return;
    const eta = place.eta_ms === null ? "" : `  about ${formatDuration(place.eta_ms)} left`;
    const status = `${FRAMES[frame % FRAMES.length]} ${elapsed().trim()}  ${place.percent} %${eta}  ${place.phase}`;
    terminal.draw(`${CLEAR}${terminal.mark("dim", status.slice(0, terminal.width - 1))}`);
  };
  const timer = setInterval(() => {
    frame += 1;
    paint();
  }, FRAME_MS);
  timer.unref();
  if (!terminal.live) clearInterval(timer);
  const endStream = () => {
    if (streaming && !terminal.json) process.stderr.write("\n");
    streaming = false;
  };
  return {
    move(next) {
      place = next;
      paint();
    },
    line({ text, tone }) {
      endStream();
      terminal.draw(CLEAR);
      const style = STYLES[tone];
      const percent = `${place.percent}`.padStart(3);
      const margin = terminal.mark("dim", `${elapsed()} ${percent} %`);
      terminal.say(`${margin}  ${style === null ? text : terminal.mark(style, text)}`);
      paint();
    },
    stream(text) {
      if (terminal.json || text === "") return;
      if (!streaming) terminal.draw(CLEAR);
      streaming = true;
      process.stderr.write(terminal.mark("dim", text));
    },
    async aside(question) {
      hidden = true;
      terminal.draw(CLEAR);
      try {
        return await question();
      } finally {
        hidden = false;
        paint();
      }
    },
    close() {
      clearInterval(timer);
      endStream();
      terminal.draw(CLEAR);
      hidden = true;
    },
  };
}
