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
  ["Clicking save twice creates duplicate orders. Please fix that.", "bug-fix"],
  ["Resolve issue 42: exception in the CSV import", "bug-fix"],
  ["The date picker shows the wrong month", "bug-fix"],
  ["Login fails for users with umlauts in their name", "bug-fix"],
  ["debug why the cron job crashes and repair it", "bug-fix"],
  ["Build a settings screen with three tabs", "code-change"],
  ["Replace moment.js with date-fns", "code-change"],
  ["Add support for YAML config files", "code-change"],
  ["Extract the mail code into its own package", "code-change"],
  ["Migrate the tests from mocha to vitest", "code-change"],
  ["Introduce a cache in front of the product lookup", "code-change"],
  ["Could you review my branch feature/cart?", "code-review"],
  ["Please look at the changes on feature/x and report problems", "code-review"],
  ["Review PR 12 with focus on security", "code-review"],
  ["What does the scheduler do when a worker dies?", "analyze"],
  ["Explain the module structure of this repo", "analyze"],
  ["Who calls the function parseConfig?", "analyze"],
  ["Find out how sessions are stored", "analyze"],
  ["Describe the REST endpoints in the README", "documentation"],
  ["Write a getting started guide", "documentation"],
  ["The docs of the CLI are out of date, please update them", "documentation"],
  ["Improve the README", "documentation"],
  ["Hello there", "hello"],
  ["Create a Quarkus starter project", "quarkus-bootstrap-v1"],
  ["Break this epic down into tasks: multi-tenant support", "plan"],
  ["Summarize the meeting transcript", "summarise"],
  // Instructions for another workflow inside the text do not outweigh what it begins with.
  ["Fix the bug in the review page: the documentation link is broken", "bug-fix"],
  ["Add a button that starts an analysis of the repository", "code-change"],
];

/**
 * Requests that no example was written for: they were put down after the rules and the examples, and neither was fitted
 * to them. They say what to expect of requests that come in; add to the examples, not here.
 */
const UNSEEN: readonly (readonly [text: string, route: string])[] = [
  ["Uploading a PNG larger than 5 MB throws an exception", "bug-fix"],
  ["Fix flaky test in order.spec.ts", "bug-fix"],
  ["The sidebar disappears when I resize the window", "bug-fix"],
  ["Search results are empty although there are matches, please fix", "bug-fix"],
  ["We get a 404 on every second request since yesterday", "bug-fix"],
  ["repair the broken pagination", "bug-fix"],
  ["Add an export button to the reports page", "code-change"],
  ["Implement OAuth login with GitHub", "code-change"],
  ["Rewrite the parser without regular expressions", "code-change"],
  ["Switch the logging library to pino", "code-change"],
  ["Make the timeout configurable", "code-change"],
  ["Introduce a feature flag for the new checkout", "code-change"],
  ["Delete the legacy API", "code-change"],
  ["Please review the last commit", "code-review"],
  ["Review feature/search against main and focus on performance", "code-review"],
  ["Can you check my pull request?", "code-review"],
  ["Where are the feature flags read?", "analyze"],
  ["How is the price calculated?", "analyze"],
  ["Explain what this repository does", "analyze"],
  ["What are the risks of upgrading to Node 24?", "analyze"],
  ["Document the environment variables", "documentation"],
  ["Add a troubleshooting chapter to the docs", "documentation"],
  ["Update the changelog and the README for the release", "documentation"],
  ["Greet the team", "hello"],
  ["Generate a new Quarkus project", "quarkus-bootstrap-v1"],
  ["Make a plan for splitting the monolith", "plan"],
  ["Summarise this long log file", "summarise"],
  ["Propose a commit message", "commit_message"],
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

/** Those that were not routed as meant; `wrong` are those for which something else would have been started. */
function missesOf(requests: typeof REQUESTS) {
  const misses = requests.flatMap(([text, meant]) => {
    const { kind, candidates: scored } = route(text);
    const [first, second] = scored;
    if (kind === "chosen" && first?.name === meant) return [];
    const told = `${text} → ${kind} ${first?.name} ${first?.score}, ${second?.name} ${second?.score}`;
    return [{ told, wrong: kind === "chosen" }];
  });
  const told = misses.map((miss) => miss.told).join("\n");
  const share = (count: number) => count / requests.length;
  return { told, missed: share(misses.length), wrong: share(misses.filter(({ wrong }) => wrong).length) };
}

describe("requests over what is shipped", () => {
  it("reach what they mean", () => {
    const { told, missed, wrong } = missesOf(REQUESTS);
    expect(REQUESTS.length).toBeGreaterThanOrEqual(30);
    expect(missed, told).toBeLessThanOrEqual(0.1);
    expect(wrong, told).toBeLessThanOrEqual(0.02);
  });

  it("are asked about rather than taken for something else when nobody thought of them", () => {
    const { told, missed, wrong } = missesOf(UNSEEN);
    expect(missed, told).toBeLessThanOrEqual(0.35);
    expect(wrong, told).toBeLessThanOrEqual(0.05);
  });

  it.each(AMBIGUOUS)("asks which is meant: %s", (text) => {
    const { kind, candidates: scored } = route(text);
    expect(kind, JSON.stringify(scored.slice(0, 3))).toBe("ambiguous");
  });

  it.each(UNKNOWN)("knows nothing for it: %s", (text) => {
    expect(route(text).kind).toBe("none");
  });
});
