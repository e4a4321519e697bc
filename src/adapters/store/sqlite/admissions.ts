import type { Admission, Admitted } from "../../../contracts/run-store.ts";
import type { RunStatus } from "../../../domain/run.ts";
import { answerOfId, answerOfKey, answerOfParent, requestOf } from "../sql/admission-answers.ts";
import type { Connection } from "./connection.ts";
import type { Journal } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Transaction } from "./transaction.ts";

export type Admit = (tx: Transaction, admission: Admission) => Admitted;

interface Parts {
  readonly journal: Journal;
  readonly lanes: Lanes;
}

export function createAdmit(connection: Connection, parts: Parts): Admit {
  const byKey = connection.one<{ id: string; idem_hash: string }>(
    "SELECT id, idem_hash FROM run WHERE tenant = ? AND idem_key = ?",
  );
  const byId = connection.one<{ no: number; status: RunStatus }>("SELECT no, status FROM run WHERE id = ?");
  const insert = connection.insert(
    `INSERT INTO run (id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title,
       parent_no, parent_id, parent_step, idem_key, idem_hash, created_at, deadline_at, sla)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );

  /** The answer to what was asked before, under the same key or the same id; `null` when it is new. */
  const seenBefore = (admission: Admission): Admitted | null => {
    const { id, request, idempotency } = admission;
    if (idempotency !== null) {
      const first = byKey(request.tenant, idempotency.key);
      if (first !== undefined) return answerOfKey(idempotency, first);
    }
    const same = byId(id);
    return same === undefined ? null : answerOfId(admission, requestOf(parts.journal.read(same.no, 0, 1)[0]));
  };

  return (tx, admission) => {
    const seen = seenBefore(admission);
    if (seen !== null) return seen;
    const { id, request, idempotency, at } = admission;
    const parent = request.parent === null ? undefined : byId(request.parent.run);
    const orphaned = answerOfParent(admission, parent);
    if (orphaned !== null) return orphaned;
    const no = insert(
      id,
      request.tenant,
      request.queue,
      request.priority,
      tx.add("vt", 1),
      request.workflow.name,
      request.workflow.version,
      request.workflow.hash,
      request.title,
      parent?.no ?? null,
      request.parent?.run ?? null,
      request.parent?.step ?? null,
      idempotency?.key ?? null,
      idempotency?.bodyHash ?? null,
      at,
      request.deadlineAt,
      request.sla === undefined ? null : JSON.stringify(request.sla),
    );
    tx.add("queued", 1);
    parts.journal.append(no, 0, [{ kind: "run_queued", request, seq: 1, at }]);
    parts.lanes.enqueue(tx, no, "own");
    tx.hint({ kind: "facts", run: id });
    return { kind: "created", id };
  };
}
