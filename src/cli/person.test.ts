import { expect, it } from "vitest";
import { asName, personHere } from "./person.ts";

it("the account's name is made into one that the API takes", () => {
  expect(asName("ada")).toBe("ada");
  expect(asName("CORP\\Ada Lovelace")).toBe("CORP-Ada-Lovelace");
  expect(asName("-ada-")).toBe("ada");
  expect(asName("ü")).toBeNull();
  expect(asName("x".repeat(300))).toHaveLength(100);
});

it("it is the environment's, else the system's", () => {
  expect(personHere({ USER: "ada", LOGNAME: "other" })).toBe("ada");
  expect(personHere({ USERNAME: "Ada L" })).toBe("Ada-L");
  expect(personHere({})).toMatch(/^[A-Za-z0-9]/);
});
