import { createRedactor, type KnownSecret, type Redactor, SHORTEST_SECRET } from "../domain/redact.ts";
import { looksSecret } from "../domain/secret-shapes.ts";

const SECRET_NAME = /(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)/i;
/** `SSH_KEY=/home/ada/.ssh/id`: says where a secret is, and occurs in honest text. */
const PATH = /^(?:[A-Za-z]:\\|~?[/\\])/;

/** Knows the values of this process's own secrets, plain and as they look inside of addresses, JSON and base64. */
export function redactorFor(env: Readonly<Record<string, string | undefined>>): Redactor {
  const secrets: KnownSecret[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (SECRET_NAME.test(name) && !isPath(value)) secrets.push(...formsOf(name, value));
    const password = passwordIn(value);
    if (password !== null) secrets.push(...formsOf(`${name} password`, password));
  }
  return createRedactor(secrets);
}

function isPath(value: string): boolean {
  return PATH.test(value) && !looksSecret(value.slice(1));
}

function passwordIn(value: string): string | null {
  if (!value.includes("@") || !URL.canParse(value)) return null;
  const { password } = new URL(value);
  return password === "" ? null : decodeURIComponent(password);
}

function formsOf(name: string, value: string): readonly KnownSecret[] {
  if (value.length < SHORTEST_SECRET) return [];
  const forms = new Set([
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    Buffer.from(value).toString("base64"),
  ]);
  return [...forms].map((form) => ({ name, value: form }));
}
