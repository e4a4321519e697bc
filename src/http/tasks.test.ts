import { afterAll, beforeAll, expect, test } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const read = (payload: object) => door.server.app.inject({ method: "POST", url: "/v1/tasks/read", payload });

test("a loosely written task is read into its parts, and who read it is said", async () => {
  const text = "Please fix src/login.ts. It should not crash on an empty password. Run `npm test`.";
  const answer = await read({ text });
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual({
    task: {
      id: "fix-src-login-ts",
      title: "Fix src/login.ts",
      description: text,
      changes: ["fix src/login.ts"],
      context: [],
      acceptance: ["It should not crash on an empty password."],
      hints: { paths: ["src/login.ts"], checks: ["npm test"] },
    },
    by: "rules",
    model: null,
    reason: "no mediator model is configured",
  });
});

test.each([
  [{ text: "  \n " }, "text is empty"],
  [{ text: "x".repeat(20_000) }, "text"],
  [{}, "text"],
  [{ text: "a", task: "b" }, "task"],
])("what cannot be read is refused by its field (%#)", async (payload, said) => {
  const answer = await read(payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().error).toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining(said),
  });
});
