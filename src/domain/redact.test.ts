import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Message } from "./message.ts";
import { addFound, createRedactor, redactJson, redactMessage } from "./redact.ts";
import { LIKELY_SHAPES, VENDOR_SHAPES } from "./secret-shapes.ts";

const WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const of = (chars: string, length: number) =>
  fc.array(fc.constantFrom(...chars), { minLength: length, maxLength: length }).map((list) => list.join(""));
const RANDOM = "q7Zt9LmX2vBn4KpW8sRd3HfY";
const HEX = "0123456789abcdef";
const redactor = createRedactor([]);
const likely = (text: string) => redactor.text(text, "likely").value;
const certain = (text: string) => redactor.text(text, "certain").value;

const formats: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "aws-key-id": of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16).map((r) => `AKIA${r}`),
  "github-token": fc.oneof(
    of(WORD, 36).map((r) => `ghp_${r}`),
    fc.tuple(of(WORD, 22), of(WORD, 59)).map((r) => `github_pat_${r.join("_")}`),
  ),
  "gitlab-token": of(WORD, 20).map((r) => `glpat-${r}`),
  "slack-token": of(WORD, 24).map((r) => `xoxb-123456789012-123456789012-${r}`),
  "slack-webhook": of(WORD, 24).map((r) => `https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/${r}`),
  "google-key": of(`${WORD}_`, 35).map((r) => `AIza${r}`),
  "google-oauth-secret": of(WORD, 28).map((r) => `GOCSPX-${r}`),
  "google-oauth-token": of(WORD, 60).map((r) => `ya29.${r}`),
  "anthropic-key": of(WORD, 93).map((r) => `sk-ant-api03-${r}AA`),
  "openai-key": fc.oneof(
    of(WORD, 48).map((r) => `sk-${r}`),
    of(WORD, 80).map((r) => `sk-proj-${r}`),
  ),
  "stripe-key": of(WORD, 24).map((r) => `sk_live_${r}`),
  "npm-token": of(WORD, 36).map((r) => `npm_${r}`),
  "pypi-token": of(WORD, 90).map((r) => `pypi-AgE${r}`),
  "huggingface-token": of(WORD, 34).map((r) => `hf_${r}`),
  "sendgrid-key": fc.tuple(of(WORD, 22), of(WORD, 43)).map(([a, b]) => `SG.${a}.${b}`),
  "digitalocean-token": of(HEX, 64).map((r) => `dop_v1_${r}`),
  "shopify-token": of(HEX, 32).map((r) => `shpat_${r}`),
  "telegram-token": of(WORD, 33).map((r) => `123456789:AA${r}`),
  jwt: of(WORD, 43).map((r) => `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${r}`),
};

describe("forms of vendors", () => {
  it.each(Object.entries(formats))("%s", (kind, format) => {
    fc.assert(
      fc.property(format, (secret) => {
        for (const around of [`const y = "${secret}";`, `{"a":"${secret}\\n"}`, `x ${secret}`]) {
          const { value, found } = redactor.text(around, "certain");
          expect(value).toBe(around.replace(secret, `[redacted:${kind}]`));
          expect(found).toEqual({ [kind]: 1 });
        }
      }),
      { numRuns: 20 },
    );
  });

  it("a private key, whole, cut off, and inside of JSON", () => {
    const body = "MIIEpAIBAAKCAQEAq1V7tZ8xN2mPbQ3rT5wY9uK4hL6jD8fG1sA2zX3cV4bN5mQ6";
    const begin = "-----BEGIN RSA PRIVATE KEY-----";
    const whole = [begin, body, body, "-----END RSA PRIVATE KEY-----"].join("\n");
    expect(certain(`a\n${whole}\nb`)).toBe("a\n[redacted:private-key]\nb");
    expect(certain(`a\n${begin}\n${body}\n${body}\n`)).toBe("a\n[redacted:private-key]\n");
    expect(certain(JSON.stringify({ key: whole }))).toBe('{"key":"[redacted:private-key]"}');
    expect(certain(`if (text.startsWith("${begin}")) return;`)).toContain(begin);
  });

  it("the password of an address, and not the address", () => {
    expect(certain(`psql postgres://ada:${RANDOM}@db.internal:5432/x`)).toBe(
      "psql postgres://ada:[redacted:password]@db.internal:5432/x",
    );
    expect(certain("redis://:hunter2hunter2@cache.prod/0")).toBe("redis://:[redacted:password]@cache.prod/0");
    expect(certain(`AccountName=a;AccountKey=${"Ab3/".repeat(21)}Ab==;X=1`)).toBe(
      "AccountName=a;AccountKey=[redacted:azure-storage-key];X=1",
    );
  });
});

describe("values that look random", () => {
  it("under a name that says what they are, in text from outside only", () => {
    for (const text of [
      `const apiKey = "${RANDOM}";`,
      `"client_secret": "${RANDOM}",`,
      `  password: '${RANDOM}'`,
      `{"text":"{\\"auth_token\\":\\"${RANDOM}\\"}"}`,
      `x = 1\nexport DB_PASSWORD=${RANDOM}\ny = 2`,
      `config["auth_token"] = \`${RANDOM}\``,
    ]) {
      expect(likely(text), text).toBe(text.replace(RANDOM, "[redacted:secret-value]"));
      expect(certain(text), text).toBe(text);
    }
    expect(likely(`curl -H "Authorization: Bearer ${RANDOM}"`)).toBe(
      'curl -H "Authorization: Bearer [redacted:bearer-token]"',
    );
  });
});

describe("hints", () => {
  const KEY = `MIIEpAIBAAKCAQEAq1V7tZ8xN2mPbQ3rT5wY9uK4hL6jD8fG1sA2zX3cV4bN5mQ6`;
  const others: Readonly<Record<string, readonly string[]>> = {
    "private-key": [
      `-----BEGIN RSA PRIVATE KEY-----\n${KEY}\n${KEY}\n-----END RSA PRIVATE KEY-----`,
      `-----BEGIN PRIVATE KEY-----\n${KEY}\n${KEY}`,
    ],
    "slack-token": [`xapp-1-A0123456789-1234567890123-${"a1".repeat(30)}`],
    "aws-key-id": [`ASIA${"Q7ZT".repeat(4)}`],
    "stripe-key": [`rk_test_${RANDOM}`, `whsec_${RANDOM}`],
    "openai-key": [`sk-svcacct-${RANDOM}`, `sk-or-v1-${RANDOM}`],
    "azure-storage-key": [`AccountKey=${"Ab3/".repeat(21)}Ab==`],
    password: [`POSTGRES://ada:${RANDOM}@db.internal`, `redis://:${RANDOM}@cache.prod/0`],
    "bearer-token": [`Authorization: Bearer ${RANDOM}`, `basic\t${RANDOM}`],
    "secret-value": [
      `apiKey = "${RANDOM}"`,
      `{"client_secret":"${RANDOM}"}`,
      `{\\"token\\": \\"${RANDOM}\\"}`,
      `Passphrase_2 => '${RANDOM}'`,
      `cfg["PASSWD"] := \`${RANDOM}\``,
      `\n  - export DB_PASSWORD=${RANDOM}\n`,
      `\nprivate-key:\n  ${RANDOM}  \n`,
    ],
  };
  const secrets = fc.oneof(...Object.values(formats), fc.constantFrom(...Object.values(others).flat()));
  const plain = fc.constantFrom(
    ..."\n| |token|password =|bearer |sk-|gh|://a:|@host|-----BEGIN |AccountKey=|\"|'|x|9|eyJ".split("|"),
  );

  /** Without hints: every pattern over every text. */
  function slowly(text: string): string {
    let safe = text;
    for (const { kind, pattern, isOne } of [...VENDOR_SHAPES, ...LIKELY_SHAPES]) {
      safe = safe.replace(pattern, (match, host: unknown) =>
        isOne?.(match, String(host)) === false ? match : `[redacted:${kind}]`,
      );
    }
    return safe;
  }

  it("of every shape are met by what it matches", () => {
    for (const { kind, pattern, hint } of [...VENDOR_SHAPES, ...LIKELY_SHAPES]) {
      const known = formats[kind] === undefined ? [] : fc.sample(formats[kind], { numRuns: 20, seed: 1 });
      const texts = [...known, ...(others[kind] ?? [])].filter((text) => text.search(pattern) >= 0);
      expect(texts, `${kind} ${pattern}`).not.toEqual([]);
      for (const text of texts) expect(text, kind).toMatch(hint);
    }
  });

  it("change nothing of what is found, whatever stands beside it", () => {
    let found = 0;
    fc.assert(
      fc.property(fc.array(fc.oneof(secrets, plain), { maxLength: 8 }), (parts) => {
        const text = parts.join("");
        const safe = likely(text);
        if (text.length >= 8) expect(safe).toBe(slowly(text));
        if (safe !== text) found += 1;
      }),
      { numRuns: 1_500 },
    );
    expect(found).toBeGreaterThan(500);
  });
});

describe("lets pass", () => {
  const harmless = [
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
    'token: "aaaaaaaa1aaaaaaaa"',
    'session_token = "onlylettersandnodigits"',
    'aws_access_key_id = "AKIAIOSFODNN7EXAMPLE"',
    'url = "postgres://user:password@localhost:5432/app"',
    'url = "postgres://ada:sesame-street@127.0.0.1:5432/app"',
    'url = "https://user:hunter2hunter2@example.com/x"',
    "git clone https://$USER:$TOKEN@github.com/acme/x.git",
    '"integrity": "sha512-q7Zt9LmX2vBn4KpW8sRd3HfYq7Zt9LmX2vBn4KpW8sRd3HfY=="',
    "commit 4700983ff9f70815e76d4a779922d761396feeef",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    'tokenId: "3f2504e0-4f89-11d3-9a0c-0305e82c3301"',
    'token = "xxxxxxxxxxxxxxxxxxxxxxxxxxx1"',
    "resolved https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz#5b8a3a7765dfe001261dde915589e782f8c94d1e",
    "at Object.<anonymous> (/srv/app/node_modules/token-bucket/index.js:128:15)",
    "export type Token = KeywordToken | IdentifierToken;",
    "if (token === Token.OpenBrace) return parseBlock(scanner.next());",
    "the basic idea-of-this-function is the bearer of news",
    "sk-learn and task-runner; risk_live_assessment",
    "short",
    "",
  ];
  it.each(harmless)("%s", (text) => {
    expect(redactor.text(text, "likely")).toEqual({ value: text, found: null });
  });

  it("any text made of words", () => {
    const word = fc.constantFrom("token", "secret", "user", "Service", "apiKey", "handler", "test", "Config");
    fc.assert(
      fc.property(fc.array(word, { minLength: 4, maxLength: 7 }), (words) => {
        const text = `const secretName = "${words.join("-")}"; const apiKeyField = "${words.join("")}";`;
        expect(likely(text)).toBe(text);
      }),
    );
  });

  it("what was redacted before: a second time changes nothing", () => {
    const text = `password: "${RANDOM}" ghp_${"aB3".repeat(12)} postgres://a:${RANDOM}@db.prod/x`;
    expect(likely(likely(text))).toBe(likely(text));
  });
});

describe("known values", () => {
  const own = createRedactor([
    { name: "SHORT", value: "abc" },
    { name: "INNER_TOKEN", value: "sesame-1" },
    { name: "DB_PASSWORD", value: "sesame-1+(open)$" },
  ]);

  it("go by their name, the longest first, whatever is in them", () => {
    const { value, found } = own.text("a sesame-1+(open)$ b sesame-1 c abc sesame-1", "certain");
    expect(value).toBe("a [redacted:DB_PASSWORD] b [redacted:INNER_TOKEN] c abc [redacted:INNER_TOKEN]");
    expect(found).toEqual({ DB_PASSWORD: 1, INNER_TOKEN: 2 });
  });

  it("everywhere in a value, and never the names of its fields", () => {
    const value = { "sesame-1": ["sesame-1", 1, null, { a: "b" }] };
    expect(redactJson(own, value, "certain")).toEqual({
      value: { "sesame-1": ["[redacted:INNER_TOKEN]", 1, null, { a: "b" }] },
      found: { INNER_TOKEN: 1 },
    });
    const clean = { a: ["long enough text"] };
    expect(redactJson(own, clean, "certain").value).toBe(clean);
  });

  it("counts add up", () => {
    expect(addFound(null, null)).toBeNull();
    expect(addFound({ a: 1 }, null)).toEqual({ a: 1 });
    expect(addFound(null, { b: 1 })).toEqual({ b: 1 });
    expect(addFound({ a: 1, b: 2 }, { b: 1, c: 1 })).toEqual({ a: 1, b: 3, c: 1 });
  });
});

describe("messages", () => {
  const own = createRedactor([{ name: "API_TOKEN", value: "open-sesame" }]);
  const said = (message: Message) => redactMessage(own, message);
  const answer = { role: "assistant", text: "fine here", toolCalls: [] } as const;

  it("of people and tools, strictly", () => {
    expect(said({ role: "user", text: `password = "${RANDOM}"` })).toEqual({
      value: { role: "user", text: 'password = "[redacted:secret-value]"' },
      found: { "secret-value": 1 },
    });
    const results = [
      { callId: "1", name: "read", text: "open-sesame, twice: open-sesame", isError: false },
      { callId: "2", name: "read", text: "nothing to see", isError: true },
    ];
    const tool = said({ role: "tool", results });
    expect(tool.found).toEqual({ API_TOKEN: 2 });
    expect(tool.value.role === "tool" && tool.value.results[0]?.text).toBe(
      "[redacted:API_TOKEN], twice: [redacted:API_TOKEN]",
    );
    expect(tool.value.role === "tool" && tool.value.results[1]).toBe(results[1]);
  });

  it("that hold nothing are the same object", () => {
    const clean: readonly Message[] = [
      { role: "user", text: "hello there, general" },
      { role: "tool", results: [{ callId: "1", name: "read", text: "nothing to see", isError: false }] },
      { ...answer, providerData: { provider: "x", pieces: ["signature-of-thought"] } },
    ];
    for (const message of clean) expect(said(message).value).toBe(message);
  });

  it("of the model keep its own random words and lose what is certain", () => {
    const own = { ...answer, text: `password = "${RANDOM}"` };
    expect(said(own).value).toBe(own);
    const call = { id: "1", name: "bash", input: { command: "curl -H open-sesame" } };
    const other = { id: "2", name: "read", input: { path: "a.ts" } };
    const whole = said({ ...answer, toolCalls: [call, other], providerData: { kept: true } });
    expect(whole).toEqual({
      value: {
        ...answer,
        toolCalls: [{ ...call, input: { command: "curl -H [redacted:API_TOKEN]" } }, other],
        providerData: { kept: true },
      },
      found: { API_TOKEN: 1 },
    });
  });

  it("lose what the provider wants back where that, or the text, had a secret", () => {
    const text = said({ ...answer, text: "it is open-sesame", providerData: { kept: "nothing secret" } });
    expect(text.value).toEqual({ ...answer, text: "it is [redacted:API_TOKEN]" });
    const data = said({ ...answer, providerData: { pieces: ["open-sesame"] } });
    expect(data).toEqual({ value: answer, found: { API_TOKEN: 1 } });
    expect(said({ ...answer, text: "open-sesame" }).value).toEqual({
      ...answer,
      text: "[redacted:API_TOKEN]",
    });
  });
});

it("much text in bounded time", () => {
  const nasty = [
    "a".repeat(200_000),
    `password=${"=".repeat(100_000)}`,
    `eyJ${"a.eyJ".repeat(40_000)}`,
    `"${"secret:".repeat(30_000)}`,
    "-----BEGIN PRIVATE KEY-----".repeat(500),
    `postgres://${"a:".repeat(20_000)}`,
    `bearer ${"a".repeat(100_000)}`,
  ];
  for (const text of nasty) expect(likely(text).length).toBeGreaterThan(1_000);
});
