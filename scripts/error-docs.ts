import { ERRORS } from "../src/domain/errors.ts";

/** The text of `docs/reference/errors.md`: the catalogue as a table. */
export function errorDocs(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, retryable, remedy }]) => {
    return `| \`${code}\` | ${status} | ${retryable ? "yes" : "no"} | ${remedy.replaceAll("|", "\\|")} |`;
  });
  return `# Errors

Generated from \`src/domain/errors.ts\` by \`npm run docs\`; change the catalogue, not this page.

A code is a promise: it is never renamed and never reused for something else. Over HTTP every answer that is not a
success has one shape:

\`\`\`json
{ "error": { "code": "not_found", "message": "…", "remedy": "…", "details": {}, "request_id": "req_…" } }
\`\`\`

\`message\` says what happened this time, \`remedy\` what to do about it, \`details\` (when there are any) what a program
may want to know. Where trying again can help the answer has \`Retry-After\` in seconds. In a run's journal, its steps
and its end the same codes stand in \`failure\`.

| code | HTTP status | trying again can help | remedy |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}
