import { Cron } from "croner";
import type { Calendar } from "../../contracts/calendar.ts";

const FIELDS = 5;
/** Kept expressions and zones: their parsing costs more than an answer. */
const KEPT = 1_000;
const DAY_MS = 86_400_000;
/** Any moment at which a schedule can still be made. */
const CHECKED_FROM = Date.UTC(2024, 0, 1);

/** Cron expressions by croner, which knows days of a month and a week; what clock changes leave out is added here. */
export function createCalendar(): Calendar {
  const kept = new Map<string, { readonly local: Cron; readonly wall: Cron; readonly zone: Zone }>();
  const read = (cron: string, timezone: string) => {
    const key = `${timezone} ${cron}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    if (kept.size >= KEPT) kept.clear();
    const pattern = { mode: "5-part", paused: true } as const;
    const made = {
      local: new Cron(cron, { ...pattern, timezone }),
      wall: new Cron(cron, { ...pattern, timezone: "UTC" }),
      zone: new Zone(timezone),
    };
    kept.set(key, made);
    return made;
  };
  return {
    check(cron, timezone) {
      if (!isZone(timezone)) {
        return {
          field: "timezone",
          message: `${JSON.stringify(timezone)} is no time zone, e.g. Europe/Berlin`,
        };
      }
      if (cron.trim().split(/\s+/).length !== FIELDS) {
        const message = `${JSON.stringify(cron)} has not five fields: minute, hour, day of month, month, day of week`;
        return { field: "cron", message };
      }
      try {
        const due = read(cron, timezone).local.nextRun(new Date(CHECKED_FROM));
        return due === null ? { field: "cron", message: `${JSON.stringify(cron)} never comes` } : null;
      } catch (error) {
        const why = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
        return { field: "cron", message: `${JSON.stringify(cron)} is no cron expression: ${why}` };
      }
    },
    next(cron, timezone, after) {
      const { local, wall, zone } = read(cron, timezone);
      const due = local.nextRun(new Date(after))?.getTime() ?? null;
      // Every hour or every few: a lost quarter of an hour is followed by the next soon enough.
      if (cron.trim().split(/\s+/)[1]?.startsWith("*")) return due;
      const onWall = wall.nextRun(new Date(zone.wallOf(after)))?.getTime() ?? null;
      const change = onWall === null ? null : zone.changeOver(onWall);
      return change !== null && change > after && (due === null || change < due) ? change : due;
    },
  };
}

function isZone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    // Offsets such as +02:00 have no clock changes, and are read differently elsewhere.
    return /^[A-Za-z]/.test(timezone);
  } catch {
    return false;
  }
}

/** One time zone: what its clocks show. A time on the wall is given as if it were UTC. */
class Zone {
  readonly #format: Intl.DateTimeFormat;

  constructor(timezone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  wallOf(moment: number): number {
    const parts = new Map(this.#format.formatToParts(moment).map(({ type, value }) => [type, Number(value)]));
    const at = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    const day = Date.UTC(at("year"), at("month") - 1, at("day"), at("hour"), at("minute"), at("second"));
    return day + (((moment % 1_000) + 1_000) % 1_000);
  }

  #offset(moment: number): number {
    return this.wallOf(moment) - moment;
  }

  /** The moment of the clock change that leaves this time on the wall out; `null` when the clocks do show it. */
  changeOver(onWall: number): number | null {
    const [before, after] = [this.#offset(onWall - DAY_MS), this.#offset(onWall + DAY_MS)];
    if (this.wallOf(onWall - before) === onWall || this.wallOf(onWall - after) === onWall) return null;
    let [early, late] = [onWall - after, onWall - before];
    while (late - early > 1) {
      const middle = Math.floor((early + late) / 2);
      if (this.#offset(middle) === before) early = middle;
      else late = middle;
    }
    return late;
  }
}
