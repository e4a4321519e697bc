import type { Admission, Admitted, RunNo } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { slotInUse, slotOfAncestor, tooManyLanes } from "../../../domain/queue.ts";
import type { RunStatus } from "../../../domain/run.ts";
import {
  answerOfId,
  answerOfKey,
  answerOfParent,
  conflictsOf,
  refusal,
  requestOf,
} from "../sql/admission-answers.ts";
import { superseded } from "../sql/messages.ts";
import type { Connection } from "./connection.ts";
import type { Inbox } from "./inbox.ts";
import type { Journal } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Ready } from "./ready.ts";
import type { Room } from "./room.ts";
import type { Shares } from "./shares.ts";
import type { Slots } from "./slots.ts";
import type { Transaction } from "./transaction.ts";

/** `door`: caps count, and refusals are counted; a run's own children always have room. */
export type Admit = (tx: Transaction, admission: Admission, door: boolean) => Admitted;

interface Parts {
  readonly inbox: Inbox;
  readonly journal: Journal;
  readonly lanes: Lanes;
  readonly ready: Ready;
  readonly room: Room;
  readonly shares: Shares;
  readonly slots: Slots;
}

type Parent = { readonly no: RunNo; readonly status: RunStatus } | undefined;

/** What was asked before, whose parent cannot have it, and what its slots say: the refusal, or `null`. */
function createJudge(connection: Connection, { journal, slots }: Parts) {
  const byKey = connection.one<{ id: string; idem_hash: string }>(
    "SELECT id, idem_hash FROM run WHERE tenant = ? AND idem_key = ?",
  );
  const byId = connection.one<{ no: number; status: RunStatus }>("SELECT no, status FROM run WHERE id = ?");
  const ancestorWith = connection.one<{ id: string }>(
    `WITH RECURSIVE above (no) AS (
       SELECT ?1 UNION ALL SELECT run.parent_no FROM above CROSS JOIN run ON run.no = above.no
       WHERE run.parent_no IS NOT NULL)
     SELECT run.id FROM above CROSS JOIN run_slot ON run_slot.run_no = above.no
       CROSS JOIN run ON run.no = above.no
     WHERE run_slot.key = ?2 AND run_slot.hold = 'run' LIMIT 1`,
  );

  const seenBefore = (admission: Admission): Admitted | null => {
    const { id, request, idempotency } = admission;
    if (idempotency !== null) {
      const first = byKey(request.tenant, idempotency.key);
      if (first !== undefined) return answerOfKey(idempotency, first);
    }
    const same = byId(id);
    return same === undefined ? null : answerOfId(admission, requestOf(journal.read(same.no, 0, 1)[0]));
  };

  return (admission: Admission): { readonly answer: Admitted | null; readonly parent: Parent } => {
    const { request } = admission;
    const seen = seenBefore(admission);
    const parent = request.parent === null ? undefined : byId(request.parent.run);
    const answer = seen ?? answerOfParent(admission, parent);
    if (answer !== null) return { answer, parent };
    for (const { key, limit, onConflict } of request.slots ?? []) {
      const above = parent === undefined ? undefined : ancestorWith(parent.no, key);
      if (above !== undefined) return { answer: refusal(slotOfAncestor({ key, holder: above.id })), parent };
      if (onConflict !== "reject") continue;
      const users = slots.users(key, limit);
      const [holder] = users;
      if (holder !== undefined && users.length >= limit) {
        return { answer: refusal(slotInUse({ key, limit, holder })), parent };
      }
    }
    return { answer: null, parent };
  };
}

export function createAdmit(connection: Connection, parts: Parts): Admit {
  const judge = createJudge(connection, parts);
  const insert = connection.insert(
    `INSERT INTO run (id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title,
       parent_no, parent_id, parent_step, idem_key, idem_hash, created_at, deadline_at, lane, gated)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  const enter = (tx: Transaction, admission: Admission, of: { lane: number; parent: Parent }): void => {
    const { id, request, idempotency, at, weight = 1 } = admission;
    const slots = request.slots ?? [];
    const no = insert(
      id,
      request.tenant,
      request.queue,
      request.priority,
      parts.shares.advance(request, weight),
      request.workflow.name,
      request.workflow.version,
      request.workflow.hash,
      request.title,
      of.parent?.no ?? null,
      request.parent?.run ?? null,
      request.parent?.step ?? null,
      idempotency?.key ?? null,
      idempotency?.bodyHash ?? null,
      at,
      request.deadlineAt,
      of.lane,
      slots.length > 0 ? 1 : 0,
    );
    tx.add("queued", 1);
    parts.journal.append(no, 0, [{ kind: "run_queued", request, seq: 1, at }]);
    parts.slots.name(tx, no, slots);
    parts.lanes.enqueue(tx, no, "own");
    tx.hint({ kind: "facts", run: id });
  };

  return (tx, admission, door) => {
    const { answer, parent } = judge(admission);
    if (answer !== null) {
      if (answer.kind === "refused" && answer.failure.code === "concurrency_conflict") {
        tx.add("refused_conflict", 1);
      }
      return answer;
    }
    const { id, request, at } = admission;
    const needs = request.needs ?? [];
    const lane = parts.ready.laneFor(needs);
    if (lane === null) return refusal(tooManyLanes(needs, LIMITS.lanes));
    const room = door ? parts.room(tx, admission) : { dropped: null };
    if ("code" in room) return refusal(room);
    enter(tx, admission, { lane, parent });
    for (const { key, limit } of conflictsOf(request, "cancel_older")) {
      const older = parts.slots.users(key, LIMITS.slotUsers).filter((user) => user !== id);
      for (const run of older.slice(0, Math.max(0, older.length - limit + 1))) {
        parts.inbox.post(tx, superseded({ run, by: id, key, at }));
      }
    }
    const created = { kind: "created", id } as const;
    return room.dropped === null ? created : { ...created, dropped: [room.dropped] };
  };
}
