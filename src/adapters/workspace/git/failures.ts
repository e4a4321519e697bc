import { type ErrorCode, type Failure, FailureError, failure, type Result } from "../../../domain/errors.ts";

const SHOWN_CHARS = 600;

/** git's and the system's words for what is not the request's fault, most specific first. */
const KNOWN: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/i, "disk_full"],
  [/Read-only file system|EROFS/i, "read_only"],
  [/insufficient permission for adding an object|EACCES|EPERM/i, "read_only"],
  [
    /(?:unable to create|could not create|cannot (?:mkdir|create)|failed to create)\b.*Permission denied/i,
    "read_only",
  ],
  [/not a git repository/i, "not_a_repository"],
];

/** Credentials out of addresses, so that git's words can be shown: `https://user:secret@host` → `https://***@host`. */
export function redactUrls(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@'"<>]*(?:@[^\s/@'"<>]*)*@/gi, "$1***@")
    .replaceAll(/([?&][^\s=&]*(?:token|key|secret|password|sig)[^\s=&]*=)[^\s&'"<>]+/gi, "$1***");
}

/** The code for an error text, or `fallback` when the text is about something else. */
export function classify(text: string, fallback: ErrorCode): ErrorCode {
  return KNOWN.find(([pattern]) => pattern.test(text))?.[1] ?? fallback;
}

/** What git said, as a failure: short, in one line, without credentials. */
export function gitFailure(command: string, stderr: string, fallback: ErrorCode = "git_failed"): Failure {
  const said = redactUrls(stderr)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("hint:"))
    .join(" | ");
  const words = said.length > SHOWN_CHARS ? `${said.slice(0, SHOWN_CHARS)}…` : said;
  return failure(classify(stderr, fallback), `git ${command} failed: ${words || "it gave no reason"}`);
}

export function refuse(code: ErrorCode, message: string, details?: Failure["details"]): never {
  throw new FailureError(failure(code, message, details));
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return isSystemError(error) && codes.includes(error.code ?? "");
}

/** The edge of the contract: what was thrown below becomes a value. A defect of ours is told as `internal`. */
export async function attempt<T>(work: () => Promise<T>): Promise<Result<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, failure: failureOf(error) };
  }
}

export function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (isSystemError(error)) {
    return failure(classify(error.code ?? "", "git_failed"), `The workspace's files: ${error.message}`);
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return failure("internal", message, error instanceof Error ? { stack: error.stack ?? "" } : undefined);
}
