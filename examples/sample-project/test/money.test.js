import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCents, percentOf } from "../src/money.js";

test("formats cents", () => {
  assert.equal(formatCents(1234), "12.34");
  assert.equal(formatCents(-5), "-0.05");
});

test("takes percent, half a cent rounded up", () => {
  assert.equal(percentOf(1000, 7), 70);
  assert.equal(percentOf(250, 19), 48);
});
