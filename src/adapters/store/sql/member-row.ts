import type { Member, MemberView, Role, Wishes } from "../../../contracts/fleet.ts";

/** A row of `member` with how long it has been silent. */
export interface MemberRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
  readonly version: string;
  readonly roles: string;
  readonly labels: string;
  readonly slots: number;
  readonly held: number;
  readonly draining: boolean | number;
  readonly joined_at: number;
  readonly silent_ms: number;
}

export interface WishRow {
  readonly slots_wish_no: number;
  readonly slots_wish: number | null;
  readonly reload_no: number;
}

/** In the order of both schemas: id, host, pid, process_start, version, roles, labels, slots, held. */
export function memberValues(
  member: Member,
): [string, string, number, string, string, string, string, number, number] {
  const { id, host, pid, processStart, version, roles, labels, slots, held } = member;
  return [id, host, pid, processStart, version, JSON.stringify(roles), JSON.stringify(labels), slots, held];
}

export function toMember(row: MemberRow): MemberView {
  return {
    id: row.id,
    host: row.host,
    pid: row.pid,
    processStart: row.process_start,
    version: row.version,
    roles: JSON.parse(row.roles) as Role[],
    labels: JSON.parse(row.labels) as string[],
    slots: row.slots,
    held: row.held,
    draining: Boolean(row.draining),
    joinedAt: row.joined_at,
    silentMs: Math.max(0, row.silent_ms),
  };
}

export function toWishes(row: WishRow): Wishes {
  const slots = row.slots_wish === null ? null : { no: row.slots_wish_no, value: row.slots_wish };
  return { slots, reloadNo: row.reload_no };
}
