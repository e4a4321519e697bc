import type { LiveCursor, LiveEvent } from "../../../contracts/live.ts";

export interface LiveRow {
  readonly ord: number;
  readonly run: string;
  readonly body: string;
}

export function toLiveEvent({ ord, body }: LiveRow): { event: LiveEvent; cursor: LiveCursor } {
  return { event: JSON.parse(body) as LiveEvent, cursor: ord };
}
