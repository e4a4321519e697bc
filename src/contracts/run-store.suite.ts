import { describe } from "vitest";
import { admissionSuite } from "./run-store-suite/admission.suite.ts";
import { commitSuite } from "./run-store-suite/commit.suite.ts";
import { type StoreMaker, useStore } from "./run-store-suite/fixtures.suite.ts";
import { labelsSuite } from "./run-store-suite/labels.suite.ts";
import { lateSuite } from "./run-store-suite/late.suite.ts";
import { messagesSuite } from "./run-store-suite/messages.suite.ts";
import { queueSuite } from "./run-store-suite/queue.suite.ts";
import { readingSuite } from "./run-store-suite/reading.suite.ts";
import { slotsSuite } from "./run-store-suite/slots.suite.ts";
import { standingSuite } from "./run-store-suite/standing.suite.ts";

/** What every run store does, in success and in refusal. */
export function runStoreSuite(maker: StoreMaker): void {
  describe(`run store: ${maker.name}`, () => {
    const tested = useStore(maker);
    queueSuite(tested);
    admissionSuite(tested);
    standingSuite(tested);
    slotsSuite(tested);
    labelsSuite(tested);
    lateSuite(tested);
    commitSuite(tested);
    messagesSuite(tested);
    readingSuite(tested);
  });
}
