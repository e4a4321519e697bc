/** All money is whole micro-US-dollars: a sum of a million calls is exact, which fractions of a dollar are not. */
export const MICROS_PER_USD = 1_000_000;

/** A thousand million dollars: nine such sums still fit into the integers that a number holds exactly. */
export const MAX_MICROS = 1_000_000_000 * MICROS_PER_USD;

const USD = /^\s*(?:\$\s*)?(\d{1,10})(?:\.(\d{1,6}))?\s*(?:usd)?\s*$/i;
const DECIMALS = 6;
const SHOWN_DECIMALS = 2;

/** Micro-dollars of `$2`, `2.50`, `2.50 USD` or a number of dollars; `null` for anything else, and below or beyond all sense. */
export function parseUsd(written: string | number): number | null {
  const [, whole, fraction = ""] = USD.exec(String(written)) ?? [];
  if (whole === undefined) return null;
  const micros = Number(whole) * MICROS_PER_USD + Number(fraction.padEnd(DECIMALS, "0"));
  return micros <= MAX_MICROS ? micros : null;
}

/** `$2.00`, `$0.0042`: two decimals, more only where there is something to see. Never rounds. */
export function formatUsd(micros: number): string {
  const size = Math.abs(micros);
  const whole = Math.floor(size / MICROS_PER_USD);
  const fraction = String(size % MICROS_PER_USD).padStart(DECIMALS, "0");
  const shown = fraction.slice(0, SHOWN_DECIMALS) + fraction.slice(SHOWN_DECIMALS).replace(/0+$/, "");
  return `${micros < 0 ? "-" : ""}$${whole}.${shown}`;
}

/** Stays at the largest exact integer: a budget that is full beyond counting is full. */
export function addMicros(one: number, other: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, one + other);
}
