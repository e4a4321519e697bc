import { describe } from "vitest";
import { commitSuite } from "./run-store-suite/commit.suite.ts";
import { type StoreMaker, useStore } from "./run-store-suite/fixtures.suite.ts";
import { messagesSuite } from "./run-store-suite/messages.suite.ts";
import { queueSuite } from "./run-store-suite/queue.suite.ts";
import { readingSuite } from "./run-store-suite/reading.suite.ts";

/** What every run store does, in success and in refusal. */
export function runStoreSuite(maker: StoreMaker): void {
  describe(`run store: ${maker.name}`, () => {
    const tested = useStore(maker);
    queueSuite(tested);
    commitSuite(tested);
    messagesSuite(tested);
    readingSuite(tested);
  });
}
