import { expect, it } from "vitest";
import { LIMITS } from "../domain/limits.ts";
import type { LiveEvent, LiveRelay } from "./live.ts";

/** Two processes on one database. */
export interface RelayMaker {
  readonly name: string;
  open(): Promise<{ readonly here: LiveRelay; readonly there: LiveRelay; close(): Promise<void> }>;
}

const event = (run: string, n: number): LiveEvent => ({
  run,
  step: "s",
  name: "progress",
  at: n,
  data: { n, text: "Grüße 😀" },
});

export function liveRelaySuite(maker: RelayMaker): void {
  let tests = 0;
  const between = (
    name: string,
    test: (here: LiveRelay, there: LiveRelay, runs: readonly [string, string]) => Promise<void>,
  ): void => {
    it(`live events (${maker.name}): ${name}`, async () => {
      const { here, there, close } = await maker.open();
      try {
        tests += 1;
        await test(here, there, [`run_a${tests}`, `run_b${tests}`]);
      } finally {
        await close();
      }
    });
  };

  between(
    "what one process says reaches the reader in the other, in order and once",
    async (here, there, [a, b]) => {
      const cursors = await there.watch([a, b]);
      await here.send([event(a, 1), event(b, 2), event(a, 3)]);
      const got = await there.receive(cursors);
      expect(got.map(({ event: of }) => of)).toEqual(
        expect.arrayContaining([event(a, 1), event(b, 2), event(a, 3)]),
      );
      expect(got.filter(({ event: of }) => of.run === a).map(({ event: of }) => of.at)).toEqual([1, 3]);
      const seen = new Map(got.map(({ event: of, cursor }) => [of.run, cursor]));
      expect(await there.receive(seen)).toEqual([]);
      await here.send([event(a, 4)]);
      expect((await there.receive(seen)).map(({ event: of }) => of.at)).toEqual([4]);
    },
  );

  between("a reader begins with what is said from now on", async (here, there, [a]) => {
    await here.send([event(a, 1)]);
    const cursors = await there.watch([a]);
    await here.send([event(a, 2)]);
    expect((await there.receive(cursors)).map(({ event: of }) => of.at)).toEqual([2]);
  });

  between("nobody hears what they said themselves", async (here, _there, [a]) => {
    const cursors = await here.watch([a]);
    await here.send([event(a, 1)]);
    expect(await here.receive(cursors)).toEqual([]);
  });

  between("only what another process watches counts as watched", async (here, there, [a, b]) => {
    await here.watch([a]);
    expect(await here.watched([a, b])).toEqual(new Set());
    expect(await there.watched([a, b])).toEqual(new Set([a]));
    expect(await there.watched([])).toEqual(new Set());
  });

  between("one look brings no more than a bounded number of events of a run", async (here, there, [a]) => {
    const cursors = await there.watch([a]);
    await here.send(Array.from({ length: LIMITS.liveBatch + 5 }, (_, n) => event(a, n)));
    const first = await there.receive(cursors);
    expect(first).toHaveLength(LIMITS.liveBatch);
    const rest = await there.receive(new Map([[a, first.at(-1)?.cursor ?? 0]]));
    expect(rest.map(({ event: of }) => of.at)).toEqual([0, 1, 2, 3, 4].map((n) => LIMITS.liveBatch + n));
  });
}
