/** A form of secrets. What the pattern matches, and only that, is the secret. */
export interface SecretShape {
  /** A word for reports and for what is put in its place: `github-token`. */
  readonly kind: string;
  /** Its first group, where it has one, is the host that a password is for. */
  readonly pattern: RegExp;
  /**
   * Is in every text that has a match, is hardly ever in any other, and is quicker to look for: the pattern itself looks
   * back or is one of dozens, and most texts hold no secret. Without `g`.
   */
  readonly hint: RegExp;
  /** Whether a match is one; absent means that the form alone is proof enough. */
  readonly isOne?: (match: string, host: string) => boolean;
}

const PEM = /-----BEGIN/;
const notPrinted = (match: string) => !KNOWN_SAMPLE.test(match);

/** Formats that are nobody's by chance. Every repetition is bounded, so no text takes long. */
export const VENDOR_SHAPES: readonly SecretShape[] = [
  {
    kind: "private-key",
    hint: PEM,
    pattern: pem("[\\s\\S]{64,16384}?-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"),
  },
  // Cut off before its end, as long outputs are.
  { kind: "private-key", hint: PEM, pattern: pem("(?:[\\s\\\\nr\"'+,]{0,8}[A-Za-z0-9+/=]{16,100}){2,400}") },
  { kind: "anthropic-key", hint: /sk-ant-/, pattern: /\bsk-ant-[A-Za-z0-9_-]{24,200}/g },
  {
    kind: "openai-key",
    hint: /sk-(?:proj|svcacct|admin|or-v1|None)-/,
    pattern: /\bsk-(?:proj|svcacct|admin|or-v1|None)-[A-Za-z0-9_-]{20,200}/g,
  },
  { kind: "openai-key", hint: /sk-[A-Za-z0-9]{32}/, pattern: /\bsk-[A-Za-z0-9]{32,64}\b/g },
  {
    kind: "google-key",
    hint: /AIza/,
    pattern: /\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])/g,
    isOne: notPrinted,
  },
  { kind: "google-oauth-secret", hint: /GOCSPX-/, pattern: /\bGOCSPX-[0-9A-Za-z_-]{28}(?![0-9A-Za-z_-])/g },
  { kind: "google-oauth-token", hint: /ya29\./, pattern: /\bya29\.[0-9A-Za-z_-]{30,1000}/g },
  { kind: "github-token", hint: /gh[pousr]_/, pattern: /\bgh[pousr]_[A-Za-z0-9]{36,255}\b/g },
  {
    kind: "github-token",
    hint: /github_pat_/,
    pattern: /\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{40,100}\b/g,
  },
  {
    kind: "gitlab-token",
    hint: /gl(?:pat|ptt|dt|rt|cbt|soat)-/,
    pattern: /\bgl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{20,100}/g,
  },
  { kind: "slack-token", hint: /xox[abeoprs]-/, pattern: /\bxox[abeoprs]-[A-Za-z0-9-]{20,250}/g },
  { kind: "slack-token", hint: /xapp-\d/, pattern: /\bxapp-\d-[A-Z0-9]{8,20}-\d{8,20}-[a-f0-9]{40,100}\b/g },
  {
    kind: "slack-webhook",
    hint: /https:\/\/hooks\.slack\.com\//,
    pattern: /\bhttps:\/\/hooks\.slack\.com\/(?:services|workflows)\/[A-Za-z0-9_/]{20,200}/g,
  },
  { kind: "aws-key-id", hint: /AKIA|ASIA/, pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g, isOne: notPrinted },
  {
    kind: "stripe-key",
    hint: /[rs]k_(?:live|test)_|whsec_/,
    pattern: /\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{20,250}\b/g,
  },
  { kind: "npm-token", hint: /npm_/, pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { kind: "pypi-token", hint: /pypi-AgE/, pattern: /\bpypi-AgE[A-Za-z0-9_-]{50,500}/g },
  { kind: "huggingface-token", hint: /hf_/, pattern: /\bhf_[A-Za-z0-9]{30,40}\b/g },
  {
    kind: "sendgrid-key",
    hint: /SG\./,
    pattern: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g,
  },
  { kind: "digitalocean-token", hint: /do[opr]_v1_/, pattern: /\bdo[opr]_v1_[a-f0-9]{64}\b/g },
  { kind: "shopify-token", hint: /shp(?:at|ca|pa|ss)_/, pattern: /\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b/g },
  { kind: "azure-storage-key", hint: /AccountKey=/, pattern: /(?<=\bAccountKey=)[A-Za-z0-9+/]{86}==/g },
  { kind: "telegram-token", hint: /\d:AA/, pattern: /\b\d{8,10}:AA[0-9A-Za-z_-]{33}(?![0-9A-Za-z_-])/g },
  {
    kind: "jwt",
    hint: /eyJ[A-Za-z0-9_-]{10}/,
    pattern: /\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,2000}/g,
    isOne: notPrinted,
  },
  {
    // The address stays: who works with it must know where it points.
    kind: "password",
    hint: /:\/\/[^\s/:@"'`]{0,100}:[^\s/@"'`]{3}/,
    pattern:
      /(?<=\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"'`]{0,100}:)[^\s/@"'`]{3,200}(?=@([^\s/:?#"'`]{1,200}))/gi,
    isOne: (password, host) => !isHarmlessPassword(password, host),
  },
];

function pem(body: string): RegExp {
  return new RegExp(`-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----${body}`, "g");
}

const SECRET_NAME =
  "(?:api[_-]?key|secret|token|passw(?:or)?d|passphrase|credential|private[_-]?key|access[_-]?key|auth[_-]?key)";

/** `name = "value"` in any language. The value, group 2, is to be judged by `looksSecret`. */
export const ASSIGNMENT = new RegExp(
  `${SECRET_NAME}[\\w-]{0,24}["'\\]]{0,2}\\s{0,4}(?::=|=>|[:=])\\s{0,4}(["'\`])([^"'\`\\s]{16,200})\\1`,
  "gi",
);
/** The same without quotes, in files whose values have none; the value is group 1. */
export const BARE_ASSIGNMENT = new RegExp(
  `^\\s{0,60}(?:- |export )?[\\w.-]{0,40}${SECRET_NAME}[\\w.-]{0,24}\\s{0,4}[:=]\\s{0,4}([^\\s"'#;]{16,200})\\s*$`,
  "gi",
);

/**
 * What may be a secret by its name: values of assignments as code and settings write them, and of an `Authorization`
 * header. Never proof enough alone: each is judged by `looksSecret`.
 */
export const LIKELY_SHAPES: readonly SecretShape[] = [
  {
    kind: "secret-value",
    hint: new RegExp(
      `${SECRET_NAME}[\\w-]{0,24}["'\\]\\\\]{0,3}\\s{0,4}(?::=|=>|[:=])\\s{0,4}\\\\?["'\`][^"'\`\\s\\\\]{16}`,
      "i",
    ),
    pattern: new RegExp(
      `(?<=${SECRET_NAME}[\\w-]{0,24}["'\\]\\\\]{0,3}\\s{0,4}(?::=|=>|[:=])\\s{0,4}\\\\?["'\`])[^"'\`\\s\\\\]{16,200}(?=\\\\?["'\`])`,
      "gi",
    ),
    isOne: looksSecret,
  },
  {
    kind: "secret-value",
    hint: new RegExp(`${SECRET_NAME}[\\w.-]{0,24}\\s{0,4}[:=]\\s{0,4}[^\\s"'#;,]{16}`, "i"),
    pattern: new RegExp(
      `(?<=^\\s{0,60}(?:- |export )?[\\w.-]{0,40}${SECRET_NAME}[\\w.-]{0,24}\\s{0,4}[:=]\\s{0,4})[^\\s"'#;,]{16,200}(?=\\s*$)`,
      "gim",
    ),
    isOne: looksSecret,
  },
  {
    kind: "bearer-token",
    hint: /(?:bearer|basic)\s{1,4}[A-Za-z0-9+/_=.~-]{20}/i,
    pattern: /(?<=\b(?:bearer|basic)\s{1,4})[A-Za-z0-9+/_=.~-]{20,2000}/gi,
    isOne: looksSecret,
  },
];

const PLACEHOLDER =
  /example|sample|placeholder|change[-_]?me|dummy|fake|your[-_]|redacted|xxxx|\*\*\*|\.\.\.|1234567|abcdef|<|>|\$\{|\{\{|%s/i;
/** Printed in every manual. */
export const KNOWN_SAMPLE = /EXAMPLE|SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LOCAL_HOST =
  /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|.*\.(?:local|test|invalid|example)|(?:.*\.)?example\.(?:com|org|net))$/i;
const NO_PASSWORD =
  /^(?:pass(?:word|wd)?|secret|pw|pwd|token|user(?:name)?|root|postgres|mysql|admin|guest|test|[$%({].*)$/i;
/** Bits a character: below it something repeats. 16 random hexadecimal digits have about 3.3. */
const MIN_ENTROPY_BITS = 3;
/** Characters between changes of case or kind, on average: chance has 1.5 to 2.5, names have 4 and more. */
const MAX_WORD_CHARS = 3;

/** `user:password@localhost`: an address to show, not one to enter by. */
export function isHarmlessPassword(password: string, host: string): boolean {
  return LOCAL_HOST.test(host) || PLACEHOLDER.test(password) || NO_PASSWORD.test(password);
}

/** Random-looking: letters and digits in quick change, no words, no path, no placeholder, no reference to somewhere else. */
export function looksSecret(value: string): boolean {
  if (PLACEHOLDER.test(value) || UUID.test(value) || !/^[A-Za-z0-9+/_=.!@#$%^&*~-]+$/.test(value))
    return false;
  if (/^[a-z]+:\/\/|^[./~$]|\.\w+\(|^(?:process|os|env|config|secrets|vars?)\b/i.test(value)) return false;
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value)) return false;
  const words = value.match(/[vV]\d+|[A-Z]?[a-z]+|[A-Z]+|\d+/g) as RegExpMatchArray;
  const letters = words.reduce((sum, word) => sum + word.length, 0);
  return letters / words.length < MAX_WORD_CHARS && entropyBits(value) >= MIN_ENTROPY_BITS;
}

/** Shannon entropy, bits a character. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const n of counts.values()) bits -= (n / text.length) * Math.log2(n / text.length);
  return bits;
}
