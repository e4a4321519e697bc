const SECRET_NAME = /(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)/i;
/** Shorter values occur in ordinary text by chance. */
const SHORTEST = 8;

/** Replaces the values of this process's own secrets, wherever they turn up. */
export function redactorFor(env: Readonly<Record<string, string | undefined>>): (text: string) => string {
  const secrets = Object.entries(env)
    .filter(([name, value]) => SECRET_NAME.test(name) && value !== undefined && value.length >= SHORTEST)
    .map(([name, value]) => ({ name, value: value as string }))
    // The longest first: one secret may contain another.
    .sort((a, b) => b.value.length - a.value.length);
  return (text) =>
    secrets.reduce((safe, { name, value }) => safe.replaceAll(value, `[redacted ${name}]`), text);
}
