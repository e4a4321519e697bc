import { type Allowance, accountKey, type Payer, type Refusal, resetOf } from "./budget.ts";
import { addMicros } from "./money.ts";
import { pathOf } from "./payer.ts";

// The ledger's rules, the same whatever it is stored in. Money moves one way only: reserved, then settled with what
// was billed, or expired when nobody came back. What is committed never shrinks.

/** What is counted for one budget in one window. Micro-dollars. */
export interface Account {
  readonly key: string;
  /** Of calls that ended, as billed or by estimate; only grows. */
  readonly committed: number;
  /** Reserved by calls under way. */
  readonly held: number;
  /** Taken for spent by calls whose process died; given back when their truth arrives after all. */
  readonly presumed: number;
  /** By how much calls under way may outgrow what they hold: the declared overshoot. */
  readonly risk: number;
  /** The soft cap was crossed, and somebody was told. */
  readonly warned: boolean;
}

/** `held` → `settled`, or `held` → `expired` → `settled` when the end arrives late. */
export type SpendState = "held" | "settled" | "expired";

/** Tokens of one call, as billed or by estimate. */
export interface SpendTokens {
  readonly input: number;
  readonly output: number;
}

/** Who spent it and on what. */
export interface SpendSubject {
  readonly tenant: string;
  readonly user: string;
  /** Ids of the run and its ancestors, the first of them first, joined by `/`; empty outside of runs. */
  readonly path: string;
  /** `provider/model`. */
  readonly model: string;
  readonly stage: string;
}

/** One attempt at a model, as the ledger keeps it. */
export interface SpendEntry {
  readonly id: string;
  readonly subject: SpendSubject;
  readonly state: SpendState;
  /** Accounts it is booked on: those of the moment it was admitted. */
  readonly accounts: readonly string[];
  readonly reserved: number;
  /** The most it may come to. */
  readonly ceiling: number;
  /** What has certainly been used so far: presumed spent if its process dies. */
  readonly accrued: number;
  /** Committed; 0 until it is settled. */
  readonly charged: number;
  readonly estimated: boolean;
  /** It ended after its hold had expired. */
  readonly late: boolean;
  readonly unpriced: boolean;
  readonly tokens: SpendTokens;
  readonly at: number;
  readonly expiresAt: number;
  readonly endedAt: number | null;
}

/** Before anything is sent. The same `id` again changes nothing. */
export interface Reserve {
  readonly kind: "reserve";
  readonly id: string;
  readonly subject: SpendSubject;
  readonly allowances: readonly Allowance[];
  readonly micros: number;
  readonly ceiling: number;
  readonly accrued: number;
  /** The price is not known, so nothing can be reserved. */
  readonly unpriced: boolean;
  readonly holdMs: number;
}

/** While it runs: keeps the hold, and raises it to `micros` where there is room. */
export interface Renew {
  readonly kind: "renew";
  readonly id: string;
  readonly allowances: readonly Allowance[];
  readonly micros: number;
  readonly accrued: number;
  readonly holdMs: number;
}

/** Its end. Booked whether there is a hold, an expired one, or none: what was billed is billed. */
export interface Settle {
  readonly kind: "settle";
  readonly id: string;
  readonly subject: SpendSubject;
  readonly allowances: readonly Allowance[];
  readonly micros: number;
  readonly estimated: boolean;
  readonly unpriced: boolean;
  readonly tokens: SpendTokens;
}

export type SpendOp = Reserve | Renew | Settle;

/** A soft cap that this very operation crossed. Micro-dollars. */
export interface SoftCap {
  readonly allowance: Allowance;
  readonly softMicros: number;
  readonly spentMicros: number;
}

export type SpendAnswer =
  | { readonly kind: "granted" }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** `covered`: the hold is as large as was asked for. */
  | { readonly kind: "renewed"; readonly covered: boolean }
  /** There is no hold any more, and no room for a new one. */
  | { readonly kind: "gone" }
  /** `booked` is false when it had been settled before: nothing was changed. */
  | {
      readonly kind: "settled";
      readonly booked: boolean;
      readonly late: boolean;
      readonly warnings: readonly SoftCap[];
    };

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Accounts and entries that were loaded for a batch; changed in place, `touched` says what is to be written. */
export interface SpendBook {
  readonly accounts: Map<string, Account>;
  readonly entries: Map<string, SpendEntry>;
  readonly touched: { readonly accounts: Set<string>; readonly entries: Set<string> };
}

export function spendBook(accounts: readonly Account[], entries: readonly SpendEntry[]): SpendBook {
  return {
    accounts: new Map(accounts.map((one) => [one.key, one])),
    entries: new Map(entries.map((one) => [one.id, one])),
    touched: { accounts: new Set(), entries: new Set() },
  };
}

export function newAccount(key: string): Account {
  return { key, committed: 0, held: 0, presumed: 0, risk: 0, warned: false };
}

export function subjectOf(
  payer: Payer,
  call: { readonly model: string; readonly stage: string },
): SpendSubject {
  return {
    tenant: payer.tenant ?? "",
    user: payer.user ?? "",
    path: pathOf(payer),
    ...call,
  };
}

/** All accounts that these operations may change, sorted: whoever locks them does so in this order. */
export function accountsOf(
  ops: readonly SpendOp[],
  entries: readonly SpendEntry[],
  now: number,
): readonly string[] {
  const keys = new Set<string>();
  for (const entry of entries) for (const key of entry.accounts) keys.add(key);
  for (const op of ops) for (const allowance of op.allowances) keys.add(accountKey(allowance, now));
  return [...keys].sort();
}

/** What counts against a limit. */
export function usedMicros(account: Account): number {
  return addMicros(addMicros(account.committed, account.presumed), account.held);
}

/** Gives up every loaded hold whose time is over: what it had accrued counts as spent until its truth arrives. */
export function sweepSpend(book: SpendBook, now: number): number {
  let swept = 0;
  for (const entry of book.entries.values()) {
    if (entry.state !== "held" || entry.expiresAt > now) continue;
    move(book, entry.accounts, { held: -entry.reserved, presumed: entry.accrued, risk: -riskOf(entry) });
    put(book, { ...entry, state: "expired" });
    swept += 1;
  }
  return swept;
}

export function applySpend(book: SpendBook, op: SpendOp, now: number): SpendAnswer {
  switch (op.kind) {
    case "reserve":
      return reserve(book, op, now);
    case "renew":
      return renew(book, op, now);
    case "settle":
      return settle(book, op, now);
  }
}

function reserve(book: SpendBook, op: Reserve, now: number): SpendAnswer {
  // Asked before, or its end has overtaken it: either way it counts already.
  if (book.entries.has(op.id)) return { kind: "granted" };
  const refusal = refusalOf(book, op, { micros: op.micros, unpriced: op.unpriced, now });
  if (refusal !== null) return { kind: "refused", refusal };
  const entry: SpendEntry = {
    id: op.id,
    subject: op.subject,
    state: "held",
    accounts: keysOf(op.allowances, now),
    reserved: op.micros,
    ceiling: Math.max(op.ceiling, op.micros),
    accrued: Math.min(op.accrued, op.micros),
    charged: 0,
    estimated: false,
    late: false,
    unpriced: op.unpriced,
    tokens: { input: 0, output: 0 },
    at: now,
    expiresAt: now + op.holdMs,
    endedAt: null,
  };
  move(book, entry.accounts, { held: entry.reserved, risk: riskOf(entry) });
  put(book, entry);
  return { kind: "granted" };
}

function renew(book: SpendBook, op: Renew, now: number): SpendAnswer {
  const entry = book.entries.get(op.id);
  if (entry === undefined || entry.state === "settled") return { kind: "gone" };
  const accrued = Math.max(entry.accrued, op.accrued);
  const wanted = Math.max(entry.reserved, op.micros);
  const expiresAt = Math.max(entry.expiresAt, now + op.holdMs);
  if (entry.state === "expired") {
    // Its process was only slow. It is taken back where there is room; otherwise its end will come late.
    const missing = Math.max(0, wanted - entry.accrued);
    if (!fits(book, entry, op, missing)) return { kind: "gone" };
    const back: SpendEntry = { ...entry, state: "held", reserved: wanted, accrued, expiresAt };
    move(book, entry.accounts, { presumed: -entry.accrued, held: wanted, risk: riskOf(back) });
    put(book, withCeiling(back));
    return { kind: "renewed", covered: true };
  }
  const covered = fits(book, entry, op, wanted - entry.reserved);
  const kept = withCeiling({ ...entry, reserved: covered ? wanted : entry.reserved, accrued, expiresAt });
  move(book, entry.accounts, { held: kept.reserved - entry.reserved, risk: riskOf(kept) - riskOf(entry) });
  put(book, kept);
  return { kind: "renewed", covered };
}

/** A call that has used more than was thought possible shows that the ceiling was wrong. */
function withCeiling(entry: SpendEntry): SpendEntry {
  return { ...entry, ceiling: Math.max(entry.ceiling, entry.reserved) };
}

function settle(book: SpendBook, op: Settle, now: number): SpendAnswer {
  const entry = book.entries.get(op.id);
  if (entry?.state === "settled") return { kind: "settled", booked: false, late: entry.late, warnings: [] };
  const late = entry?.state !== "held" && op.allowances.length > 0;
  const accounts = entry?.accounts ?? keysOf(op.allowances, now);
  const gone: Movement =
    entry === undefined
      ? {}
      : entry.state === "held"
        ? { held: -entry.reserved, risk: -riskOf(entry) }
        : { presumed: -entry.accrued };
  move(book, accounts, { ...gone, committed: op.micros });
  put(book, {
    id: op.id,
    subject: entry?.subject ?? op.subject,
    state: "settled",
    accounts,
    reserved: entry?.reserved ?? 0,
    ceiling: Math.max(entry?.ceiling ?? 0, op.micros),
    accrued: op.micros,
    charged: op.micros,
    estimated: op.estimated,
    late,
    unpriced: op.unpriced,
    tokens: op.tokens,
    at: entry?.at ?? now,
    expiresAt: entry?.expiresAt ?? now,
    endedAt: now,
  });
  return { kind: "settled", booked: true, late, warnings: warnings(book, op.allowances, accounts) };
}

/** Soft caps are told by whoever crosses them, once for each window; by an account, so that only one of many is told. */
function warnings(
  book: SpendBook,
  allowances: readonly Allowance[],
  accounts: readonly string[],
): readonly SoftCap[] {
  const found: SoftCap[] = [];
  for (const [index, allowance] of allowances.entries()) {
    const { softMicros } = allowance;
    // In the order of the allowances; of an entry from before a reset, the window it was admitted in.
    const account = book.accounts.get(accounts[index] ?? "");
    if (softMicros === null || account === undefined || account.warned) continue;
    const spentMicros = addMicros(account.committed, account.presumed);
    if (spentMicros < softMicros) continue;
    set(book, { ...account, warned: true });
    found.push({ allowance, softMicros, spentMicros });
  }
  return found;
}

function keysOf(allowances: readonly Allowance[], now: number): readonly string[] {
  return allowances.map((allowance) => accountKey(allowance, now));
}

function refusalOf(
  book: SpendBook,
  op: Pick<Reserve, "allowances">,
  ask: { readonly micros: number; readonly unpriced: boolean; readonly now: number },
): Refusal | null {
  const { micros, unpriced, now } = ask;
  // What is known to cost nothing fits even where nothing is left.
  if (micros === 0 && !unpriced) return null;
  for (const allowance of op.allowances) {
    const { hardMicros: limit } = allowance;
    if (limit === null) continue;
    const account = accountAt(book, accountKey(allowance, now));
    const used = usedMicros(account);
    if (addMicros(used, micros) <= limit && used < limit) continue;
    return {
      allowance,
      limitMicros: limit,
      spentMicros: addMicros(account.committed, account.presumed),
      heldMicros: account.held,
      neededMicros: micros,
      resetsAt: resetOf(allowance, now),
    };
  }
  return null;
}

/** In the accounts that it was admitted to, whatever window it is by now. */
function fits(book: SpendBook, entry: SpendEntry, op: Renew, more: number): boolean {
  if (more <= 0) return true;
  return op.allowances.every(({ hardMicros }, index) => {
    const account = accountAt(book, entry.accounts[index] ?? "");
    return hardMicros === null || addMicros(usedMicros(account), more) <= hardMicros;
  });
}

function riskOf({ ceiling, reserved }: Pick<SpendEntry, "ceiling" | "reserved">): number {
  return Math.max(0, ceiling - reserved);
}

type Movement = Partial<Record<"committed" | "held" | "presumed" | "risk", number>>;

function move(book: SpendBook, keys: readonly string[], by: Movement): void {
  for (const key of keys) {
    const account: Draft<Account> = { ...accountAt(book, key) };
    account.committed = addMicros(account.committed, by.committed ?? 0);
    // An account may have been forgotten since; then there is nothing to give back to.
    account.held = Math.max(0, addMicros(account.held, by.held ?? 0));
    account.presumed = Math.max(0, addMicros(account.presumed, by.presumed ?? 0));
    account.risk = Math.max(0, addMicros(account.risk, by.risk ?? 0));
    set(book, account);
  }
}

function accountAt(book: SpendBook, key: string): Account {
  return book.accounts.get(key) ?? newAccount(key);
}

function set(book: SpendBook, account: Account): void {
  book.accounts.set(account.key, account);
  book.touched.accounts.add(account.key);
}

function put(book: SpendBook, entry: SpendEntry): void {
  book.entries.set(entry.id, entry);
  book.touched.entries.add(entry.id);
}
