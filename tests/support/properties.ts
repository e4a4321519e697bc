import fc from "fast-check";

/** The seed of every property test: the same in each run, so that what is red stays red; `PROPERTY_SEED=random` explores. */
const asked = process.env.PROPERTY_SEED ?? "20261121";

if (!/^\d+$|^random$/.test(asked)) {
  throw new Error(`PROPERTY_SEED is "${asked}"; expected a whole number, or "random" to explore.`);
}
if (asked !== "random") fc.configureGlobal({ seed: Number(asked) });
