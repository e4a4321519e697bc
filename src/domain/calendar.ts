const DAY_MS = 86_400_000;

interface Day {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
}

const DAYS_OF_400_YEARS = 146_097;
const DAYS_FROM_YEAR_0 = 719_468;

/** Days since 1970-01-01 of a day of the Gregorian calendar; years begin in March here, so that a leap day is a year's last. */
function toDays({ year, month, day }: Day): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const days = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear;
  return era * DAYS_OF_400_YEARS + days - DAYS_FROM_YEAR_0;
}

function toDay(days: number): Day {
  const shifted = days + DAYS_FROM_YEAR_0;
  const era = Math.floor(shifted / DAYS_OF_400_YEARS);
  const ofEra = shifted - era * DAYS_OF_400_YEARS;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const day = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

const two = (n: number): string => String(n).padStart(2, "0");
const dateOf = ({ year, month, day }: Day): string => `${year}-${two(month)}-${two(day)}`;

/** A stretch of UTC's calendar; times in ms since the epoch, `endsAt` is its first moment that no longer belongs to it. */
export interface Stretch {
  /** `2026-11-21` or `2026-11`. */
  readonly name: string;
  readonly startsAt: number;
  readonly endsAt: number;
}

export function utcDay(now: number): Stretch {
  const days = Math.floor(now / DAY_MS);
  return { name: dateOf(toDay(days)), startsAt: days * DAY_MS, endsAt: (days + 1) * DAY_MS };
}

export function utcMonth(now: number): Stretch {
  const { year, month } = toDay(Math.floor(now / DAY_MS));
  const next = month === 12 ? { year: year + 1, month: 1, day: 1 } : { year, month: month + 1, day: 1 };
  return {
    name: `${year}-${two(month)}`,
    startsAt: toDays({ year, month, day: 1 }) * DAY_MS,
    endsAt: toDays(next) * DAY_MS,
  };
}

/** `2026-11-21T00:00:00Z` of a midnight. */
export function midnight(at: number): string {
  return `${dateOf(toDay(Math.floor(at / DAY_MS)))}T00:00:00Z`;
}
