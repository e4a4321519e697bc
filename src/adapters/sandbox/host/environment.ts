/** Carries the marks by which a command's processes are found again, even in another session. */
export const MARK_VARIABLE = "AGENT_RUNNER_COMMAND_ID";

const POSIX_NAMES = [
  "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR",
  "XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME",
].flatMap((line) => line.split(" "));

const WINDOWS_NAMES = [
  "PATH PATHEXT SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC TEMP TMP OS USERNAME USERPROFILE HOMEDRIVE HOMEPATH",
  "APPDATA LOCALAPPDATA PROGRAMDATA PROGRAMFILES PROGRAMFILES(X86) PROGRAMW6432 COMMONPROGRAMFILES",
  "NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE HOME LANG TZ",
].flatMap((line) => line.split(" "));

/** Where tool chains live and which certificates they trust: folders and files, never credentials. */
const TOOLCHAIN_NAMES = [
  "JAVA_HOME MAVEN_HOME GRADLE_HOME GRADLE_USER_HOME ANDROID_HOME GOPATH GOROOT GOCACHE GOMODCACHE",
  "CARGO_HOME RUSTUP_HOME NVM_DIR VOLTA_HOME PNPM_HOME PYENV_ROOT VIRTUAL_ENV CONDA_PREFIX RBENV_ROOT GEM_HOME",
  "DOTNET_ROOT SDKMAN_DIR SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE",
].flatMap((line) => line.split(" "));

/** What keeps a program from asking, paging, colouring or opening an editor. */
const NON_INTERACTIVE: Readonly<Record<string, string>> = {
  CI: "1",
  TERM: "dumb",
  NO_COLOR: "1",
  PAGER: "cat",
  MANPAGER: "cat",
  SYSTEMD_PAGER: "cat",
  EDITOR: "true",
  VISUAL: "true",
  GIT_EDITOR: "true",
  GIT_SEQUENCE_EDITOR: "true",
  GIT_PAGER: "cat",
  GIT_TERMINAL_PROMPT: "0",
  GIT_SSH_COMMAND: "ssh -o BatchMode=yes",
  DEBIAN_FRONTEND: "noninteractive",
  PIP_NO_INPUT: "1",
  PIP_DISABLE_PIP_VERSION_CHECK: "1",
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_update_notifier: "false",
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The whole environment of a command: an allow-list of the server's own variables, non-interactive settings, what
 * the operator passes by name, and what the command brings. A variable that nobody named does not pass, so the
 * server's keys and tokens stay with the server. HOME is the user's real one: tool chains keep their caches there.
 */
export function commandEnvironment(options: {
  readonly server: Environment;
  readonly platform: NodeJS.Platform;
  readonly mark: string;
  readonly passNames?: readonly string[];
  readonly added?: Readonly<Record<string, string>>;
}): Record<string, string> {
  const windows = options.platform === "win32";
  const fold = (name: string): string => (windows ? name.toUpperCase() : name);
  const names = [
    ...(windows ? WINDOWS_NAMES : POSIX_NAMES),
    ...TOOLCHAIN_NAMES,
    ...(options.passNames ?? []),
  ];
  const allowed = new Set(names.map(fold));
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.server)) {
    if (value !== undefined && (allowed.has(fold(name)) || name.startsWith("LC_"))) environment[name] = value;
  }
  Object.assign(environment, NON_INTERACTIVE, options.added);
  // A command of an agent-runner that itself runs as a command keeps the outer mark too, so that both find it.
  const outer = options.server[MARK_VARIABLE];
  environment[MARK_VARIABLE] = outer === undefined ? options.mark : `${outer},${options.mark}`;
  return environment;
}
