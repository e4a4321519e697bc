const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_CHARS = 10;
const RANDOM_CHARS = 10;

/**
 * A time-ordered identifier: prefix, 10 characters of time, 10 of chance (50 bits).
 * `random` is uniform in [0, 1) and is drawn once a character.
 */
export function newId(prefix: string, nowMs: number, random: () => number): string {
  let time = "";
  let rest = Math.floor(nowMs);
  for (let i = 0; i < TIME_CHARS; i += 1) {
    time = ALPHABET.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let chance = "";
  for (let i = 0; i < RANDOM_CHARS; i += 1) chance += ALPHABET.charAt(Math.floor(random() * 32));
  return `${prefix}_${time}${chance}`;
}
