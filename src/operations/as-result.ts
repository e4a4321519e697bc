import { FailureError, type Result } from "../domain/errors.ts";

/**
 * Runs an operation; a failure that a store could only throw (`unavailable`, `disk_full`, …) becomes its value.
 * Anything else that is thrown is a defect of ours and goes on.
 */
export async function asResult<T>(operation: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    throw error;
  }
}
