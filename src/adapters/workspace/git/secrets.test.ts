import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAdded } from "./added.ts";
import { findSecrets } from "./secrets.ts";

const WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const from = (chars: string, length: number) =>
  fc.array(fc.constantFrom(...chars), { minLength: length, maxLength: length }).map((list) => list.join(""));
const kinds = async (path: string, ...texts: readonly string[]) =>
  (await findSecrets([{ path, lines: texts.map((text, i) => ({ line: i + 10, text })) }])).map(
    ({ line, kind }) => `${line} ${kind}`,
  );

describe("findSecrets finds", () => {
  const formats: Readonly<Record<string, fc.Arbitrary<string>>> = {
    "an AWS key": from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16).map((r) => `AKIA${r}`),
    "an AWS secret": from(WORD, 40).map((r) => `aws_secret_access_key = ${r}`),
    "a GitHub token": from(WORD, 36).map((r) => `ghp_${r}`),
    "a fine-grained GitHub token": fc
      .tuple(from(WORD, 22), from(WORD, 59))
      .map((r) => `github_pat_${r.join("_")}`),
    "a GitLab token": from(WORD, 20).map((r) => `glpat-${r}`),
    "a Slack token": from(WORD, 24).map((r) => `xoxb-${"123456789012"}-${"123456789012"}-${r}`),
    "a Google key": from(`${WORD}_-`, 35).map((r) => `AIza${r}`),
    "an Anthropic key": from(WORD, 93).map((r) => `sk-ant-api03-${r}AA`),
    "an OpenAI key": from(WORD, 40).map((r) => `sk-${r.slice(0, 20)}T3BlbkFJ${r.slice(20)}`),
    "an npm token": from(WORD, 36).map((r) => `npm_${r}`),
    "a Telegram token": from(WORD, 33).map((r) => `123456789:AA${r}`),
    "a JSON web token": from(WORD, 43).map((r) => `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${r}`),
  };
  it.each(Object.entries(formats))("%s", async (_, format) => {
    const property = fc.asyncProperty(format, async (secret) => {
      expect(await kinds("src/a.ts", "const x = 1;", `  const y = "${secret}";`)).toHaveLength(1);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it("a private key over several lines", async () => {
    const body = "MIIEpAIBAAKCAQEAq1V7tZ8xN2mPbQ3rT5wY9uK4hL6jD8fG1sA2zX3cV4bN5mQ6";
    const key = ["-----BEGIN RSA PRIVATE KEY-----", body, body, body, "-----END RSA PRIVATE KEY-----"];
    expect(await kinds("src/key.ts", "x", ...key)).toEqual(["11 privatekey: private key"]);
  });

  it("an assignment of something random to something secret", async () => {
    const random = "q7Zt9LmX2vBn4KpW8sRd3HfY";
    for (const text of [
      `const apiKey = "${random}";`,
      `"client_secret": "${random}",`,
      `  password: '${random}'`,
      `DB_PASSWORD := "${random}"`,
      `config["auth_token"] = \`${random}\``,
    ]) {
      expect(await kinds("src/a.ts", text), text).toHaveLength(1);
    }
    expect(await kinds("app.properties", `db.password=${random}`)).toHaveLength(1);
    expect(await kinds("deploy/values.yaml", `  apiToken: ${random}`)).toHaveLength(1);
    expect(await kinds("src/a.ts", `const key = "postgres://ada:${random}@db.internal/x";`)).toHaveLength(1);
  });
});

describe("findSecrets lets pass", () => {
  it("names, placeholders, references and addresses", async () => {
    for (const text of [
      'const apiKey = process.env["API_KEY"];',
      'const token = "your-api-token-goes-here";',
      'password: "changeme-please-now"',
      "token: ${{ secrets.GITHUB_TOKEN }}",
      'const tokenUrl = "https://auth.host.dev/oauth2/v2/token";',
      'secretName: "my-service-database-credentials"',
      'tokenEndpoint: "/api/v1/oauth/token/refresh"',
      'const tokenType = "urn:ietf:params:oauth:token-type:jwt"',
      'passwordField = "userPasswordConfirmationInput"',
      'const SECRET_HEADER = "X-Hub-Signature-256-Value"',
      'aws_access_key_id = "AKIAIOSFODNN7EXAMPLE"',
      'url = "postgres://user:password@localhost:5432/app"',
      'url = "https://user:hunter2hunter2@example.com/x"',
      '"integrity": "sha512-q7Zt9LmX2vBn4KpW8sRd3HfYq7Zt9LmX2vBn4KpW8sRd3HfY=="',
      "commit 4700983ff9f70815e76d4a779922d761396feeef",
      'token = "xxxxxxxxxxxxxxxxxxxxxxxxxxx1"',
    ]) {
      expect(await kinds("src/a.ts", text), text).toEqual([]);
      expect(await kinds("conf/a.yaml", text), text).toEqual([]);
    }
  });

  it("any text made of words", async () => {
    const word = fc.constantFrom(
      "token",
      "secret",
      "user",
      "Service",
      "apiKey",
      "handler",
      "endpoint",
      "test",
      "Config",
    );
    const property = fc.asyncProperty(fc.array(word, { minLength: 4, maxLength: 7 }), async (words) => {
      const text = `const secretName = "${words.join("-")}"; const apiKeyField = "${words.join("")}";`;
      expect(await kinds("src/a.ts", text), text).toEqual([]);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("much text in little time", async () => {
    const nasty = [
      `${"a".repeat(200_000)}`,
      `password=${"=".repeat(100_000)}`,
      `eyJ${"a.eyJ".repeat(40_000)}`,
      `"${"secret:".repeat(30_000)}`,
    ];
    const startedAt = performance.now();
    await kinds(
      "src/a.env",
      ...nasty,
      ...Array.from({ length: 20_000 }, () => "const value = compute(other, 12);"),
    );
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

describe("a large text", () => {
  it("is looked through to its end, and no key is lost between pieces", async () => {
    const filler = Array.from({ length: 3_000 }, (_, i) => `line ${i} ${"word ".repeat(30)}`);
    const body = "MIIEpAIBAAKCAQEAq1V7tZ8xN2mPbQ3rT5wY9uK4hL6jD8fG1sA2zX3cV4bN5mQ6";
    const key = ["-----BEGIN RSA PRIVATE KEY-----", body, body, body, "-----END RSA PRIVATE KEY-----"];
    for (const at of [1_670, 1_672, 1_674, 2_990]) {
      const lines = [...filler.slice(0, at), ...key, ...filler.slice(at)];
      expect(await kinds("a.txt", ...lines), String(at)).toEqual([`${at + 10} privatekey: private key`]);
    }
  });
});

describe("parseAdded", () => {
  it("reads file names and line numbers, whatever the lines look like", () => {
    const patch = [
      "diff --git a/x.txt b/x.txt",
      "--- a/x.txt",
      "+++ b/x.txt",
      "@@ -1 +1,2 @@",
      "-old",
      "+++ not a header",
      "+@@ -1 +1 @@\r",
      "@@ -9,0 +11 @@",
      "+last",
      "\\ No newline at end of file",
      "diff --git a/gone b/gone",
      "--- a/gone",
      "+++ /dev/null",
      "@@ -1 +0,0 @@",
      "-x",
      'diff --git "a/t\\tab" "b/t\\tab"',
      "--- /dev/null",
      '+++ "b/t\\t\\"\\303\\274"',
      "@@ -0,0 +1 @@",
      "+y",
    ].join("\n");
    expect(parseAdded(patch)).toEqual([
      {
        path: "x.txt",
        lines: [
          { line: 1, text: "++ not a header" },
          { line: 2, text: "@@ -1 +1 @@" },
          { line: 11, text: "last" },
        ],
      },
      { path: 't\t"ü', lines: [{ line: 1, text: "y" }] },
    ]);
  });
});
