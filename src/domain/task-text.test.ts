import { describe, expect, it } from "vitest";
import { readTaskText, TASK_TEXT } from "./task-text.ts";

// Long because it is a table of how people write.

interface Read {
  readonly title: string;
  readonly changes?: readonly string[];
  readonly context?: readonly string[];
  readonly acceptance?: readonly string[];
  readonly paths?: readonly string[];
  readonly checks?: readonly string[];
}

const WRITTEN: readonly (readonly [string, Read])[] = [
  [
    "Fix the crash on an empty password",
    { title: "Fix the crash on an empty password", changes: ["Fix the crash on an empty password"] },
  ],
  [
    "please fix the login bug. When the password is empty, the server crashes. It should show an error instead.",
    {
      title: "Fix the login bug",
      changes: ["fix the login bug"],
      context: ["When the password is empty, the server crashes."],
      acceptance: ["It should show an error instead."],
    },
  ],
  [
    "# Add dark mode\n\n## Changes\n- toggle in settings\n- persist choice\n\n## Acceptance criteria\n- [ ] survives reload\n- [ ] `npm test` passes\n\n## Files\n- src/settings/theme.ts\n- src/app.css",
    {
      title: "Add dark mode",
      changes: ["toggle in settings", "persist choice"],
      acceptance: ["survives reload", "`npm test` passes"],
      paths: ["src/settings/theme.ts", "src/app.css"],
      checks: ["npm test"],
    },
  ],
  [
    "Could you please add pagination to GET /orders? Page size must be at most 100. Currently it returns everything, which takes ages.\nRun `npm test` afterwards.",
    {
      title: "Add pagination to GET /orders",
      changes: ["add pagination to GET /orders"],
      context: ["Currently it returns everything, which takes ages."],
      acceptance: ["Page size must be at most 100."],
      checks: ["npm test"],
    },
  ],
  [
    "Refactor src/gateway/*.ts: split the big file, no behaviour change. Don't touch the public API.",
    {
      title: "Refactor src/gateway/*.ts: split the big file, no behaviour change",
      changes: ["Refactor src/gateway/*.ts: split the big file, no behaviour change"],
      acceptance: ["Don't touch the public API."],
      paths: ["src/gateway/*.ts"],
    },
  ],
  [
    "Upgrade lodash to the newest version in package.json and make sure all tests pass with npm run check",
    {
      title: "Upgrade lodash to the newest version in package.json",
      changes: ["Upgrade lodash to the newest version in package.json"],
      acceptance: ["make sure all tests pass with npm run check"],
      paths: ["package.json"],
      checks: ["npm run check"],
    },
  ],
  [
    "Title: Rename UserDto\nContext: it is exposed in the API; we have many clients\nAcceptance: compiles; tests pass\nFiles: src/dto/UserDto.java",
    {
      title: "Rename UserDto",
      changes: ["Rename UserDto"],
      context: ["it is exposed in the API; we have many clients"],
      acceptance: ["compiles", "tests pass"],
      paths: ["src/dto/UserDto.java"],
    },
  ],
  [
    "Hi team, I would like you to migrate Node.js from 18 to 24. See https://nodejs.org/en/blog and docs/upgrade.md. CI/CD should stay green.",
    {
      title: "Migrate Node.js from 18 to 24",
      changes: ["migrate Node.js from 18 to 24"],
      context: ["See https://nodejs.org/en/blog and docs/upgrade.md."],
      acceptance: ["CI/CD should stay green."],
      paths: ["docs/upgrade.md"],
    },
  ],
  [
    "Build failing:\n```\nError: cannot find module 'x'\n  at src/index.ts:3\n```\nplease repair it",
    { title: "Build failing", changes: ["repair it"], paths: ["src/index.ts"] },
  ],
  [
    "TODO: write unit tests for date parser (src/date/parse.py)\n$ pytest tests/date -q",
    {
      title: "Write unit tests for date parser (src/date/parse.py)",
      changes: ["write unit tests for date parser (src/date/parse.py)"],
      paths: ["src/date/parse.py"],
      checks: ["pytest tests/date -q"],
    },
  ],
  ["make the search faster", { title: "Make the search faster", changes: ["make the search faster"] }],
  [
    "The search is too slow. Users complain. We should cache the results in src/search/cache.ts.",
    {
      title: "The search is too slow",
      changes: ["The search is too slow", "cache the results in src/search/cache.ts"],
      context: ["Users complain."],
      paths: ["src/search/cache.ts"],
    },
  ],
  [
    "I need you to add a --json flag to the CLI\n\nIt must print one object per line.\n\nsee docs/cli.md",
    {
      title: "Add a --json flag to the CLI",
      changes: ["Add a --json flag to the CLI"],
      context: ["see docs/cli.md"],
      acceptance: ["It must print one object per line."],
      paths: ["docs/cli.md"],
    },
  ],
  [
    "fix flaky test tests/e2e/login.spec.ts\n\n- it fails about once in ten runs\n- it should never depend on the clock",
    {
      title: "Fix flaky test tests/e2e/login.spec.ts",
      changes: ["Fix flaky test tests/e2e/login.spec.ts"],
      context: ["it fails about once in ten runs"],
      acceptance: ["it should never depend on the clock"],
      paths: ["tests/e2e/login.spec.ts"],
    },
  ],
  [
    "**Add OAuth login**\n\n**Context:**\nWe have only passwords now.\n\n**Acceptance criteria:**\n- users can log in with GitHub\n- existing sessions stay valid",
    {
      title: "Add OAuth login",
      changes: ["Add OAuth login"],
      context: ["We have only passwords now."],
      acceptance: ["users can log in with GitHub", "existing sessions stay valid"],
    },
  ],
  [
    "Requirements:\n* export orders as CSV\n* columns configurable\n\nDone when:\n* `make check` is green\n* the docs in docs/export.md are updated",
    {
      title: "Export orders as CSV",
      changes: ["export orders as CSV", "columns configurable"],
      acceptance: ["`make check` is green", "the docs in docs/export.md are updated"],
      paths: ["docs/export.md"],
      checks: ["make check"],
    },
  ],
  [
    "Remove the deprecated feature flag `new-checkout` everywhere",
    {
      title: "Remove the deprecated feature flag new-checkout everywhere",
      changes: ["Remove the deprecated feature flag `new-checkout` everywhere"],
    },
  ],
  [
    "Hey, can you look at why the build fails on Windows? It seems that paths with backslashes break `scripts/build.mjs`. Should work with both separators.",
    {
      title: "Look at why the build fails on Windows",
      changes: ["look at why the build fails on Windows"],
      context: ["It seems that paths with backslashes break `scripts/build.mjs`."],
      acceptance: ["Should work with both separators."],
      paths: ["scripts/build.mjs"],
    },
  ],
  [
    "Given a user without a phone number, when he saves the form, then an error is shown",
    {
      title: "Given a user without a phone number, when he saves the form, then an error is shown",
      changes: ["Given a user without a phone number, when he saves the form, then an error is shown"],
      acceptance: ["Given a user without a phone number, when he saves the form, then an error is shown"],
    },
  ],
  [
    "bump deps\n- express to 5\n- jest to 30\n- don't touch typescript",
    { title: "Bump deps", changes: ["express to 5", "jest to 30"], acceptance: ["don't touch typescript"] },
  ],
  [
    "Write docs for the HTTP API in docs/http.md; every endpoint needs an example.",
    {
      title: "Write docs for the HTTP API in docs/http.md",
      changes: ["Write docs for the HTTP API in docs/http.md"],
      acceptance: ["every endpoint needs an example."],
      paths: ["docs/http.md"],
    },
  ],
  [
    "# Login\n\nThe login page is ugly.\n\n## What\n\nRedesign it.\n\n## Why\n\nCustomers asked for it.\n\n## How to verify\n\n```sh\nnpm run lint\nnpm test -- login\n```",
    {
      title: "Login",
      changes: ["Redesign it"],
      context: ["The login page is ugly.", "Customers asked for it."],
      checks: ["npm run lint", "npm test -- login"],
    },
  ],
  [
    "Replace moment with date-fns in packages/core/** and packages/web/**",
    {
      title: "Replace moment with date-fns in packages/core/** and packages/web/**",
      changes: ["Replace moment with date-fns in packages/core/** and packages/web/**"],
      paths: ["packages/core/**", "packages/web/**"],
    },
  ],
  [
    "Add a GitHub workflow that runs `./mvnw verify` on every push (.github/workflows/ci.yml)",
    {
      title: "Add a GitHub workflow that runs ./mvnw verify on every push (.github/workflows/ci.yml)",
      changes: ["Add a GitHub workflow that runs `./mvnw verify` on every push (.github/workflows/ci.yml)"],
      paths: [".github/workflows/ci.yml"],
      checks: ["./mvnw verify"],
    },
  ],
  [
    "TASK: Convert callbacks to promises in lib/db.js\nFILES: lib/db.js, lib/pool.js\nCHECKS: npm test",
    {
      title: "Convert callbacks to promises in lib/db.js",
      changes: ["Convert callbacks to promises in lib/db.js"],
      paths: ["lib/db.js", "lib/pool.js"],
      checks: ["npm test"],
    },
  ],
  [
    "there is a memory leak in the worker. it grows by 10 MB an hour. find and fix it",
    {
      title: "There is a memory leak in the worker",
      changes: ["find and fix it"],
      context: ["there is a memory leak in the worker.", "it grows by 10 MB an hour."],
    },
  ],
  [
    "1) Rename class UserDto to UserView\n2) Update all imports\n3) Run cargo test",
    {
      title: "Rename class UserDto to UserView",
      changes: ["Rename class UserDto to UserView", "Update all imports"],
      checks: ["cargo test"],
    },
  ],
  [
    "Please please add retries to the HTTP client, with backoff, max 3 attempts; retries must not apply to POST.",
    {
      title: "Add retries to the HTTP client, with backoff, max 3 attempts",
      changes: ["add retries to the HTTP client, with backoff, max 3 attempts"],
      acceptance: ["retries must not apply to POST."],
    },
  ],
  [
    "Users report that the total is wrong when a coupon is used, e.g. 10% of 99.99. Correct the rounding in src/cart/total.go and add a test for it.",
    {
      title: "Correct the rounding in src/cart/total.go and add a test for it",
      changes: ["Correct the rounding in src/cart/total.go and add a test for it"],
      context: ["Users report that the total is wrong when a coupon is used, e.g. 10% of 99.99."],
      paths: ["src/cart/total.go"],
    },
  ],
  [
    "Let's drop support for Python 3.8 and 3.9. Update pyproject.toml, tox.ini and the README.md accordingly.",
    {
      title: "Drop support for Python 3.8 and 3.9",
      changes: [
        "drop support for Python 3.8 and 3.9",
        "Update pyproject.toml, tox.ini and the README.md accordingly",
      ],
      paths: ["pyproject.toml", "tox.ini", "README.md"],
    },
  ],
  ["improve error messages", { title: "Improve error messages", changes: ["improve error messages"] }],
  [
    "Investigate and/or fix the 1/2 px gap in the header (see web/src/Header.vue)",
    {
      title: "Investigate and/or fix the 1/2 px gap in the header (see web/src/Header.vue)",
      changes: ["Investigate and/or fix the 1/2 px gap in the header (see web/src/Header.vue)"],
      paths: ["web/src/Header.vue"],
    },
  ],
  [
    "Add caching\n\nNotes:\n- redis is available\n- TTL 5 minutes\n\nScope:\n- GET endpoints only",
    {
      title: "Add caching",
      changes: ["GET endpoints only"],
      context: ["redis is available", "TTL 5 minutes"],
    },
  ],
  [
    "Create Dockerfile and Makefile so that `docker build .` works. Image must be smaller than 100 MB.",
    {
      title: "Create Dockerfile and Makefile so that docker build . works",
      changes: ["Create Dockerfile and Makefile so that `docker build .` works"],
      acceptance: ["Image must be smaller than 100 MB."],
      paths: ["Dockerfile", "Makefile"],
      checks: ["docker build ."],
    },
  ],
  [
    "- [ ] add endpoint /health\n- [x] add endpoint /ready\n- [ ] both must answer in 50 ms",
    {
      title: "Add endpoint /health",
      changes: ["add endpoint /health", "add endpoint /ready"],
      acceptance: ["both must answer in 50 ms"],
    },
  ],
  [
    "Summary: Typo on landing page\nSteps to reproduce:\n1. open /\n2. read the headline\nExpected: it says Welcome\nActual: it says Welcom",
    {
      title: "Typo on landing page",
      changes: ["Typo on landing page"],
      context: ["open /", "read the headline", "it says Welcom"],
      acceptance: ["it says Welcome"],
    },
  ],
  ["Add tests.", { title: "Add tests", changes: ["Add tests"] }],
  [
    "please ensure that no request takes longer than 5s",
    {
      title: "Ensure that no request takes longer than 5s",
      changes: ["Ensure that no request takes longer than 5s"],
      acceptance: ["ensure that no request takes longer than 5s"],
    },
  ],
  [
    "refactor: extract the parser\n\nWe need to move src/a.ts's parser to src/parser.ts and keep the public API stable. Verify with npm run check && npm test.",
    {
      title: "Refactor: extract the parser",
      changes: [
        "refactor: extract the parser",
        "move src/a.ts's parser to src/parser.ts and keep the public API stable",
      ],
      paths: ["src/a.ts", "src/parser.ts"],
      checks: ["npm run check"],
    },
  ],
  [
    "Set the timeout to 30s in config/app.yaml instead of 10s because the upstream is slow",
    {
      title: "Set the timeout to 30s in config/app.yaml instead of 10s because the upstream is slow",
      changes: ["Set the timeout to 30s in config/app.yaml instead of 10s because the upstream is slow"],
      paths: ["config/app.yaml"],
    },
  ],
  [
    "Fix `TypeError: x is undefined` in `src/util/index.js:42`",
    {
      title: "Fix TypeError: x is undefined in src/util/index.js:42",
      changes: ["Fix `TypeError: x is undefined` in `src/util/index.js:42`"],
      paths: ["src/util/index.js"],
    },
  ],
  [
    "Würden Sie bitte den Fehler beheben?",
    { title: "Würden Sie bitte den Fehler beheben", changes: ["Würden Sie bitte den Fehler beheben"] },
  ],
  [
    "Build a screen for the settings. The screen has a list of options, a search box and a save button. When nothing changed, the save button is disabled.",
    {
      title: "Build a screen for the settings",
      changes: ["Build a screen for the settings"],
      context: [
        "The screen has a list of options, a search box and a save button.",
        "When nothing changed, the save button is disabled.",
      ],
    },
  ],
  [
    "Do not merge. Just review src/auth and tell me what you think",
    {
      title: "Do not merge",
      changes: ["Do not merge"],
      context: ["Just review src/auth and tell me what you think"],
      acceptance: ["Do not merge."],
      paths: ["src/auth"],
    },
  ],
  [
    "Bug: crash on start\nEnvironment: macOS 15, Node.js 24\nStack:\n```\nat boot (/app/dist/main.js:1:1)\n```\nFix it, and don't swallow the error",
    {
      title: "Bug: crash on start",
      changes: ["Bug: crash on start", "Fix it"],
      context: ["macOS 15, Node.js 24"],
      acceptance: ["don't swallow the error"],
    },
  ],
  [
    "Add i18n support\n   to the web client\n\nlanguages:\n- English\n- German",
    {
      title: "Add i18n support to the web client",
      changes: ["Add i18n support to the web client", "English", "German"],
    },
  ],
  [
    "Implement https://example.com/specs/v2/auth.html for the client in clients/python/",
    {
      title: "Implement https://example.com/specs/v2/auth.html for the client in clients/python/",
      changes: ["Implement https://example.com/specs/v2/auth.html for the client in clients/python/"],
      paths: ["clients/python/"],
    },
  ],
  [
    "Our tests take 20 minutes. I want them below 10. You may use parallel workers.",
    {
      title: "Our tests take 20 minutes",
      changes: ["Our tests take 20 minutes"],
      context: ["Our tests take 20 minutes.", "You may use parallel workers."],
      acceptance: ["I want them below 10."],
    },
  ],
  [
    "The API should return 404 instead of 500 for unknown ids.",
    {
      title: "The API should return 404 instead of 500 for unknown ids",
      changes: ["The API should return 404 instead of 500 for unknown ids"],
      acceptance: ["The API should return 404 instead of 500 for unknown ids."],
    },
  ],
  [
    "update CHANGELOG.md & package.json to 2.0.0, then run `npm run build`",
    {
      title: "Update CHANGELOG.md & package.json to 2.0.0, then run npm run build",
      changes: ["update CHANGELOG.md & package.json to 2.0.0, then run `npm run build`"],
      paths: ["CHANGELOG.md", "package.json"],
      checks: ["npm run build"],
    },
  ],
  [
    "Add a config option `maxUploadSize` (default 10MB), validate it, document it in docs/config.md, and test it.",
    {
      title:
        "Add a config option maxUploadSize (default 10MB), validate it, document it in docs/config.md, and…",
      changes: [
        "Add a config option `maxUploadSize` (default 10MB), validate it, document it in docs/config.md, and test it",
      ],
      paths: ["docs/config.md"],
    },
  ],
  ["1. \n2. \n", { title: "" }],
  ["???", { title: "" }],
];

describe("readTaskText", () => {
  it.each(WRITTEN)("%j", (text, read) => {
    const { description, id, title, changes, context, acceptance, hints } = readTaskText(text);
    expect({ title, changes, context, acceptance, ...hints }).toEqual({
      changes: [],
      context: [],
      acceptance: [],
      paths: [],
      checks: [],
      ...read,
    });
    expect(description).toBe(text.trim());
    expect(id).toMatch(title === "" ? /^$/ : /^[a-z0-9-]{1,40}$/);
  });

  it("reads the same from Windows", () => {
    const text = "# Add dark mode\n\n- toggle\n- persist\n\nIt must survive a reload.";
    const read = readTaskText(text);
    expect(readTaskText(text.replaceAll("\n", "\r\n"))).toEqual(read);
    expect(read.changes).toEqual(["toggle", "persist"]);
  });

  it("finds in a section what is meant by it, and keeps what is something else", () => {
    const read = readTaskText(
      [
        "# A title",
        "## Files",
        "- `handler`",
        "- the module that",
        "  parses dates",
        "## Checks",
        "- npm test",
        "- verify with `make check` and by eye",
        "- the page loads",
        "- go to the page",
        "~~~",
        "cargo test --all",
        "just do it",
        "~~~",
        "**Title:** another one",
      ].join("\n"),
    );
    expect(read).toMatchObject({
      title: "A title",
      changes: ["A title"],
      context: ["the module that parses dates"],
      acceptance: ["the page loads", "go to the page", "**Title:** another one"],
      hints: { paths: ["handler"], checks: ["cargo test --all", "npm test", "make check"] },
    });
  });

  it("shortens a title at a clause, else at a word, and bounds all the rest", () => {
    const clause = readTaskText(`Fix the parser of dates: ${"it is wrong in many ways ".repeat(8)}`);
    expect(clause.title).toBe("Fix the parser of dates");
    const words = readTaskText(`Fix ${"parser ".repeat(40)}`);
    expect(words.title).toMatch(/^Fix (parser )+parser…$/);
    expect(words.title.length).toBeLessThanOrEqual(TASK_TEXT.titleChars + 1);
    const many = readTaskText(Array.from({ length: 80 }, (_, n) => `- add endpoint ${n}`).join("\n"));
    expect(many.changes).toHaveLength(TASK_TEXT.items);
    const long = readTaskText(`- add ${"x".repeat(5_000)}`);
    expect(long.changes[0]?.length).toBeLessThan(TASK_TEXT.itemChars + 60);
  });

  it("takes no time for text made to take it", () => {
    for (const nasty of [
      "please ".repeat(2_300),
      "a/".repeat(8_000),
      "- ".repeat(8_000),
      "`".repeat(16_000),
      "**a".repeat(5_000),
      "run npm ".repeat(2_000),
    ]) {
      expect(readTaskText(nasty).description).toBe(nasty.trim());
    }
  });
});
