import { expect, it } from "vitest";
import { median } from "./median.ts";

it.each<[number[], number | null]>([
  [[], null],
  [[7], 7],
  [[10, 9], 9],
  [[3, 100, 1], 3],
])("the median of %j is %j", (values, middle) => {
  expect(median(values)).toBe(middle);
});
