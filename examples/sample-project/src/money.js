/** Whole cents → "12.34". */
export function formatCents(cents) {
  const sign = cents < 0 ? "-" : "";
  const absolute = Math.abs(cents);
  return `${sign}${Math.floor(absolute / 100)}.${String(absolute % 100).padStart(2, "0")}`;
}

/** The part of an amount that `percent` stands for, in whole cents, half a cent rounded up. */
export function percentOf(cents, percent) {
  return Math.floor((cents * percent) / 100);
}
