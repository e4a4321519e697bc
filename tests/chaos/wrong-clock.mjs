// Preloaded into a process (and its threads): after WRONG_AFTER_MS its wall clock is WRONG_MS off. Timers and the
// counters that only grow stay as they are, as when somebody sets a machine's clock.
const RightDate = globalThis.Date;
const wrongMs = Number(process.env.WRONG_MS ?? 0);
const afterMs = Number(process.env.WRONG_AFTER_MS ?? 0);
const began = performance.now();
const now = () => RightDate.now() + (performance.now() - began >= afterMs ? wrongMs : 0);

globalThis.Date = class WrongDate extends RightDate {
  constructor(...given) {
    if (given.length === 0) super(now());
    else super(...given);
  }

  static now() {
    return now();
  }
};
