import { lstat, open } from "node:fs/promises";
import { join } from "node:path";

/** Forges refuse larger files, and no diff shows them. */
const MAX_FILE_BYTES = 104_857_600;
/** How much of a file is read to know what it is. */
const PEEK_BYTES = 65_536;

interface NameRule {
  readonly pattern: RegExp;
  readonly reason: string;
}

/** Matched against the lower-case base name. */
const NAMES: readonly NameRule[] = [
  { pattern: /^\.env(?:rc|\..*)?$/, reason: "an environment file" },
  { pattern: /^.+\.env$/, reason: "an environment file" },
  { pattern: /^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/, reason: "a private SSH key" },
  {
    pattern: /\.(?:pem|key|ppk|p8|p12|pfx|jks|keystore|kdbx|gpg|asc\.key)$/,
    reason: "a key or certificate store",
  },
  { pattern: /^credentials(?:\.(?:json|ya?ml|ini|toml|csv|txt))?$/, reason: "a credentials file" },
  { pattern: /^client_secret.*\.json$/, reason: "a credentials file" },
  {
    pattern: /^(?:\.netrc|_netrc|\.pgpass|\.pypirc|\.git-credentials|\.htpasswd|\.vault-token)$/,
    reason: "a credentials file",
  },
  { pattern: /^(?:\.dockercfg|\.terraformrc|kubeconfig|\.s3cfg|\.boto)$/, reason: "a credentials file" },
  { pattern: /\.tfstate(?:\.backup)?$/, reason: "a Terraform state with its secrets" },
];

/** Samples that are meant to be committed. Their content is scanned all the same. */
const SAMPLE = /^(?:\.env\.)?.*(?:\.|^|-|_)(?:example|sample|template|tmpl|dist|defaults?|schema)$/;

const FOLDERS: readonly NameRule[] = [
  { pattern: /(?:^|\/)\.(?:ssh|gnupg|aws|azure|kube)\//, reason: "in a folder of credentials" },
  { pattern: /(?:^|\/)\.docker\/config\.json$/, reason: "a credentials file" },
];

interface ContentRule {
  readonly name: RegExp;
  readonly content: RegExp;
  readonly reason: string;
}

const CONTENTS: readonly ContentRule[] = [
  {
    name: /^\.(?:npmrc|yarnrc|yarnrc\.yml)$/,
    content: /(?:_authToken|_auth|_password|npmAuthToken|npmAuthIdent)\s*[=:]\s*["']?(?!\$)[^\s"']/,
    reason: "registry credentials",
  },
  {
    name: /\.json$/,
    content:
      /"type"\s*:\s*"service_account"[\s\S]*"private_key"|"private_key"[\s\S]*"type"\s*:\s*"service_account"/,
    reason: "a service account's key",
  },
];

/** Why a path must not be committed, judged by its name alone; `null` when nothing speaks against it. */
export function sensitiveName(path: string): string | null {
  const lower = path.toLowerCase();
  const name = lower.slice(lower.lastIndexOf("/") + 1);
  const folder = FOLDERS.find(({ pattern }) => pattern.test(lower));
  if (folder !== undefined) return folder.reason;
  if (SAMPLE.test(name)) return null;
  return NAMES.find(({ pattern }) => pattern.test(name))?.reason ?? null;
}

/** The same, looking into the file where its name alone does not tell. */
export async function sensitiveFile(root: string, path: string): Promise<string | null> {
  const byName = sensitiveName(path);
  if (byName !== null) return byName;
  const file = join(root, path);
  const info = await lstat(file).catch(() => null);
  if (info === null || !info.isFile()) return null;
  if (info.size > MAX_FILE_BYTES) return `larger than ${MAX_FILE_BYTES / 1_048_576} MiB`;
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const rules = CONTENTS.filter((rule) => rule.name.test(name));
  if (rules.length === 0) return null;
  const text = await peek(file);
  return rules.find(({ content }) => content.test(text))?.reason ?? null;
}

async function peek(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PEEK_BYTES), 0, PEEK_BYTES, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
