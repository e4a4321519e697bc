import { describe, expect, test } from "vitest";
import { redactorFor } from "./redact.ts";

const shown = (env: Record<string, string>, text: string) => redactorFor(env).text(text, "certain").value;

describe("redactorFor", () => {
  test("knows secrets by the names of their variables, in every form in which they turn up", () => {
    const env = { ACME_API_KEY: 'pa"ss/word+1', HOME: "/home/ada", EMPTY_TOKEN: "" };
    const forms = ['pa"ss/word+1', "pa%22ss%2Fword%2B1", 'pa\\"ss/word+1', "cGEic3Mvd29yZCsx"];
    for (const form of forms) expect(shown(env, `<${form}>`)).toBe("<[redacted:ACME_API_KEY]>");
    expect(shown(env, "/home/ada is home")).toBe("/home/ada is home");
  });

  test("knows the password of an address, also an encoded one", () => {
    const env = { DATABASE_URL: "postgres://ada:op%40n-sesame@db.prod/x" };
    expect(shown(env, "it is op@n-sesame")).toBe("it is [redacted:DATABASE_URL password]");
    expect(shown(env, "it is op%40n-sesame")).toBe("it is [redacted:DATABASE_URL password]");
    expect(shown({ URL: "http://localhost/a@b" }, "http://localhost/a@b")).toBe("http://localhost/a@b");
    expect(shown({ MAIL: "ada@host.dev is not one" }, "ada@host.dev is")).toBe("ada@host.dev is");
  });

  test("paths and short values are no secrets, whatever they are called", () => {
    const env = { SSH_KEY_FILE: "/home/ada/.ssh/id_ed25519", KEY: "short", TOKEN_LIMIT: "1000" };
    const text = "/home/ada/.ssh/id_ed25519 short 1000";
    expect(shown(env, text)).toBe(text);
    expect(shown({ A_KEY: "/q7Zt9LmX2vBn4KpW8sRd3HfY" }, "/q7Zt9LmX2vBn4KpW8sRd3HfY")).toBe(
      "[redacted:A_KEY]",
    );
  });
});
