import { beforeAll, describe, expect, it } from "vitest";
import { builtInActions, TOOL_NAMES } from "../../src/adapters/definitions/built-in.suite.ts";
import { createDefinitions } from "../../src/adapters/definitions/definitions.ts";
import { loadLibrary } from "../../src/adapters/definitions/library.ts";
import { createExpressions } from "../../src/adapters/expressions/cel.ts";
import { type IntentCandidate, routeIntent } from "../../src/domain/intent.ts";
import { intentRoutes } from "../../src/operations/intake/candidates.ts";

/** Requests as people write them, and what they mean among the shipped workflows and agents. */
const REQUESTS: readonly (readonly [text: string, route: string])[] = [
  ["Fix the crash when the config file is missing in /srv/shop", "bug-fix"],
  ["The checkout button throws an error after the last deployment, please repair it", "bug-fix"],
  ["users get logged out every few minutes. find the bug and fix it. repo: /srv/auth", "bug-fix"],
  ["There's a race condition that makes the nightly job fail with exit code 1", "bug-fix"],
  ["Sum of an empty list is wrong: it gives NaN instead of 0", "bug-fix"],
  ["Test suite is failing since Monday, repair it", "bug-fix"],
  ["Memory leak in the worker, please fix", "bug-fix"],
  ["Run bug-fix: the footer overlaps the text", "bug-fix"],
  ["Add a search box to the customer list in /srv/crm", "code-change"],
  ["Implement rate limiting for the public endpoints", "code-change"],
  ["Refactor the payment module so that it no longer uses globals", "code-change"],
  ["Please rename the function getUser to findUser", "code-change"],
  ["Upgrade React to version 19 in /home/ada/web", "code-change"],
  ["Create a new command line option --quiet", "code-change"],
  ["Remove the unused dependencies", "code-change"],
  ["Could you add unit tests for the tokenizer?", "code-change"],
  ["Review feature/oauth against develop in /srv/auth", "code-review"],
  ["Please do a code review of the branch release/2.1", "code-review"],
  ["Look over this pull request and tell me what is wrong with it", "code-review"],
  ["Check the diff for security problems before we merge", "code-review"],
  ["Can I get feedback on my commits?", "code-review"],
  ["How does the cache get invalidated?", "analyze"],
  ["Explain how authentication works in /srv/auth", "analyze"],
  ["Why does the build take ten minutes? Do not change anything", "analyze"],
  ["Which files depend on the mailer?", "analyze"],
  ["What happens when the queue is full?", "analyze"],
  ["Where is the retry limit defined?", "analyze"],
  ["Write documentation for the plugin interface", "documentation"],
  ["Update the README with the new installation steps", "documentation"],
  ["Document all configuration options of the server", "documentation"],
  ["The deployment guide is outdated, correct it", "documentation"],
  ["Write a tutorial for first-time users", "documentation"],
  ["Say hello to Ada", "hello"],
  ["Just send a greeting so that I see that the model is connected", "hello"],
  ["Bootstrap a Quarkus project in /srv/new", "quarkus-bootstrap-v1"],
  ["Scaffold a Java service with Maven and Quarkus", "quarkus-bootstrap-v1"],
  ["Plan the move to PostgreSQL in small steps", "plan"],
  ["Split the rewrite of the scheduler into steps", "plan"],
  ["Summarise the log of last night", "summarise"],
  ["Write a commit message for my diff", "commit_message"],
  // Instructions for another workflow inside the text do not outweigh what it begins with.
  ["Fix the bug in the review page: the documentation link is broken", "bug-fix"],
  ["Add a button that starts an analysis of the repository", "code-change"],
];

/** Several could be meant: somebody must be asked. */
const AMBIGUOUS: readonly string[] = [
  "Fix the documentation",
  "Review the documentation",
  "Have a look at the login page",
  "Something about the tests",
  "Deal with the project",
];

const UNKNOWN: readonly string[] = ["Xyzzy plugh", "Lorem ipsum dolor sit amet", "42", "🙂", "   "];

let candidates: readonly IntentCandidate[];
beforeAll(async () => {
  const definitions = createDefinitions({
    actions: builtInActions(),
    expressions: createExpressions(),
    toolNames: TOOL_NAMES,
  });
  const library = await loadLibrary({ definitions });
  const stored = library.workflows.map(({ value, source, origin }) => ({
    workflow: value,
    source,
    origin,
    savedAt: 0,
  }));
  const routes = await intentRoutes({
    workflows: { list: async () => stored } as never,
    agents: async () => library.agents.map(({ value }) => value),
  });
  candidates = routes.map(({ candidate }) => candidate);
});

const route = (text: string) => routeIntent({ text, inputs: {} }, candidates);

describe("requests over what is shipped", () => {
  it("reach what they mean", () => {
    const wrong = REQUESTS.flatMap(([text, meant]) => {
      const { kind, candidates: scored } = route(text);
      const [first, second] = scored;
      if (kind === "chosen" && first?.name === meant) return [];
      return [`${text} → ${kind} ${first?.name} ${first?.score}, ${second?.name} ${second?.score}`];
    });
    expect(REQUESTS.length).toBeGreaterThanOrEqual(30);
    const accuracy = 1 - wrong.length / REQUESTS.length;
    expect(accuracy, wrong.join("\n")).toBeGreaterThanOrEqual(0.9);
  });

  it.each(AMBIGUOUS)("asks which is meant: %s", (text) => {
    const { kind, candidates: scored } = route(text);
    expect(kind, JSON.stringify(scored.slice(0, 3))).toBe("ambiguous");
  });

  it.each(UNKNOWN)("knows nothing for it: %s", (text) => {
    expect(route(text).kind).toBe("none");
  });
});
