/** The least text after all that begin with `prefix` (not empty, of ASCII), where bytes decide. */
export function pastPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
