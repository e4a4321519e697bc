import type { Clock } from "../../../base/clock.ts";
import type { SpendLedger, SpendQuery, SpendSum } from "../../../contracts/spend-ledger.ts";
import { type Account, applySpend, type SpendEntry, spendBook, sweepSpend } from "../../../domain/spend.ts";
import { copy } from "./state.ts";

const EMPTY = { calls: 0, chargedMicros: 0, estimatedMicros: 0, heldMicros: 0 } as const;
const EMPTY_TOO = { presumedMicros: 0, unpricedCalls: 0, inputTokens: 0, outputTokens: 0 } as const;

/** Accounts of runs and of windows. */
const FORGOTTEN = /^(run|task):|\|(day|month)\|/;

/** The ledger in plain values: the model that those in databases are compared with. */
export function createMemorySpend(clock: Clock): SpendLedger {
  const book = spendBook([], []);
  const changedAt = new Map<string, number>();
  const accounts = (): readonly Account[] =>
    [...book.accounts.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const entries = (): readonly SpendEntry[] => [...book.entries.values()];
  return {
    async apply(batch) {
      if (batch.length === 0) return [];
      const now = clock.now();
      sweepSpend(book, now);
      const answers = copy(batch.map((op) => applySpend(book, copy(op), now)));
      for (const key of book.touched.accounts) changedAt.set(key, now);
      book.touched.accounts.clear();
      return answers;
    },
    async sweep(limit) {
      const due = entries().filter((one) => one.state === "held" && one.expiresAt <= clock.now());
      const some = spendBook(accounts(), due.slice(0, Math.max(0, limit)));
      const swept = sweepSpend(some, clock.now());
      for (const [key, account] of some.accounts) book.accounts.set(key, account);
      for (const [id, entry] of some.entries) book.entries.set(id, entry);
      for (const key of some.touched.accounts) changedAt.set(key, clock.now());
      return swept;
    },
    accounts: async (keys) => copy(accounts().filter((one) => keys.includes(one.key))),
    async accountsFrom({ prefix, after, limit }) {
      const found = accounts().filter((one) => one.key.startsWith(prefix) && one.key > (after ?? ""));
      return copy(found.slice(0, limit));
    },
    spent: async (query) => sumsOf(entries().filter((entry) => isMeant(entry, query))),
    async outputs({ model, stage, limit }) {
      const ended = entries().filter(
        ({ subject, state, estimated, tokens }) =>
          subject.model === model &&
          subject.stage === stage &&
          state === "settled" &&
          !estimated &&
          tokens.output > 0,
      );
      const newest = ended.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0));
      return newest.slice(0, limit).map((one) => one.tokens.output);
    },
    now: async () => clock.now(),
    async prune(before, limit) {
      const most = Math.max(0, limit);
      const dead = entries().filter((one) => one.state === "expired" && one.expiresAt < before);
      const buried = dead.sort((a, b) => a.expiresAt - b.expiresAt).slice(0, most);
      const old = entries().filter((one) => one.endedAt !== null && one.endedAt < before);
      const gone = old.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0)).slice(0, most);
      for (const { id } of [...buried, ...gone]) book.entries.delete(id);
      const forgotten = accounts().filter(
        ({ key, held }) => held === 0 && FORGOTTEN.test(key) && (changedAt.get(key) ?? 0) < before,
      );
      // While an entry is there its accounts are: it may still be settled.
      const some = buried.length < most ? forgotten.slice(0, most) : [];
      for (const { key } of some) book.accounts.delete(key);
      return buried.length + gone.length;
    },
  };
}

function isMeant({ subject, at }: SpendEntry, { since, until, tenant, user, path }: SpendQuery): boolean {
  if (since !== undefined && at < since) return false;
  if (until !== undefined && at >= until) return false;
  if (tenant !== undefined && subject.tenant !== tenant) return false;
  if (user !== undefined && subject.user !== user) return false;
  return (
    path === undefined || (path !== "" && (subject.path === path || subject.path.startsWith(`${path}/`)))
  );
}

function sumsOf(entries: readonly SpendEntry[]): readonly SpendSum[] {
  const sums = new Map<string, SpendSum>();
  for (const { subject, state, charged, reserved, accrued, estimated, unpriced, tokens } of entries) {
    const { model, stage } = subject;
    const key = `${model}\n${stage}`;
    const sum = sums.get(key) ?? { model, stage, ...EMPTY, ...EMPTY_TOO };
    sums.set(key, {
      model,
      stage,
      calls: sum.calls + 1,
      chargedMicros: sum.chargedMicros + charged,
      estimatedMicros: sum.estimatedMicros + (estimated ? charged : 0),
      heldMicros: sum.heldMicros + (state === "held" ? reserved : 0),
      presumedMicros: sum.presumedMicros + (state === "expired" ? accrued : 0),
      unpricedCalls: sum.unpricedCalls + (unpriced ? 1 : 0),
      inputTokens: sum.inputTokens + tokens.input,
      outputTokens: sum.outputTokens + tokens.output,
    });
  }
  return [...sums.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}
