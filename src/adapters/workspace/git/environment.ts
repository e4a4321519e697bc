import { devNull } from "node:os";

/**
 * What git and its helpers (ssh, credential managers) need from the server's own environment. All else,
 * above all every other `GIT_*` (which may point git at another repository), stays out.
 */
const PASSED = new Set([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "TMPDIR",
  "TMP",
  "TEMP",
  "XDG_CONFIG_HOME",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "SSH_AUTH_SOCK",
  "SSH_AGENT_PID",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "SYSTEMROOT",
  "SYSTEMDRIVE",
  "WINDIR",
  "COMSPEC",
  "PATHEXT",
  "USERPROFILE",
  "HOMEDRIVE",
  "HOMEPATH",
  "APPDATA",
  "LOCALAPPDATA",
  "PROGRAMDATA",
  "PROGRAMFILES",
  // The operator's own choice of configuration and credentials for git.
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_SYSTEM",
  "GIT_CONFIG_NOSYSTEM",
  "GIT_SSH_COMMAND",
  "GIT_ASKPASS",
  "GIT_SSL_CAINFO",
]);

export type Environment = Readonly<Record<string, string | undefined>>;

export function gitEnvironment(own: Environment): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && PASSED.has(name.toUpperCase())) env[name] = value;
  }
  return {
    ...env,
    LC_ALL: "C",
    LANGUAGE: "C",
    GIT_TERMINAL_PROMPT: "0",
    GCM_INTERACTIVE: "never",
    GIT_PAGER: "cat",
    GIT_EDITOR: ":",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_LITERAL_PATHSPECS: "1",
    // No `ext::` or other remote helper may be named by a repository: a helper is a program.
    GIT_ALLOW_PROTOCOL: "file:http:https:ssh",
  };
}

/** Settings of every call, whatever any configuration file says. `noHooks` is an empty folder. */
export function baseConfig(noHooks: string): readonly string[] {
  const hooks = process.platform === "win32" ? noHooks : devNull;
  return [
    `core.hooksPath=${hooks}`,
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "core.longpaths=true",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "log.showSignature=false",
    "color.ui=false",
    "push.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
  ].flatMap((setting) => ["-c", setting]);
}
