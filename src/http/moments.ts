/** RFC 3339 in UTC. */
export function moment(ms: number): string {
  return new Date(ms).toISOString();
}

export function momentOrNull(ms: number | null): string | null {
  return ms === null ? null : moment(ms);
}
