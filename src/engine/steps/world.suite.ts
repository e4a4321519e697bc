import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHostSandbox } from "../../adapters/sandbox/host/host-sandbox.ts";
import { isJsonObject, type Json } from "../../base/json.ts";
import type { ArtifactStore } from "../../contracts/artifact-store.ts";
import type { GateSpec, Gates } from "../../contracts/gates.ts";
import type { CallRecord, GatewayRequest, ModelGateway } from "../../contracts/model-gateway.ts";
import type { Tool, ToolBox, ToolOutput } from "../../contracts/tool.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { type ErrorCode, failure, ok } from "../../domain/errors.ts";
import type { Usage } from "../../domain/message.ts";
import { authorizeByRisk } from "../authorize.ts";
import { sha256 } from "./digest.ts";
import { RUN } from "./harness.suite.ts";
import type { StepParts } from "./parts.ts";
import { workspaceToWire } from "./shapes.ts";
import { git, plainWorkspaces, smallWorkspaces } from "./workspaces.suite.ts";

/** One reply of the scripted model. */
export interface Line {
  readonly text?: string;
  readonly calls?: readonly { readonly name: string; readonly input: Json }[];
  readonly finish?: "stop" | "tool_calls" | "length";
  readonly usage?: Partial<Usage>;
  readonly costMicros?: number | null;
  readonly fails?: ErrorCode;
}

export type Script = readonly (Line | ((request: GatewayRequest) => Line))[];

export const call = (name: string, input: Json = {}): Line => ({ calls: [{ name, input }] });
export const finish = (outcome = "done", more: Record<string, Json> = {}): Line =>
  call("finish", { outcome, summary: `It is ${outcome}.`, ...more });

export interface ScriptedGateway extends ModelGateway {
  readonly requests: GatewayRequest[];
}

/**
 * Answers by the script. By "history", the line is chosen by what the model is shown (its own earlier replies), so a
 * repeated request gets the same answer; by "count", each call takes the next line.
 */
export function scriptedGateway(script: Script, by: "history" | "count" = "history"): ScriptedGateway {
  const requests: GatewayRequest[] = [];
  return {
    requests,
    async call(request, options) {
      const said = request.messages.filter((message) => message.role === "assistant").length;
      const at = by === "history" ? said : requests.length;
      requests.push(request);
      const entry = script[at];
      const line: Line =
        entry === undefined
          ? { fails: "script_exhausted" }
          : typeof entry === "function"
            ? entry(request)
            : entry;
      const usage: Usage = { input: 10, cacheRead: 5, cacheWrite: 0, output: 3, reasoning: 0, ...line.usage };
      const costMicros = line.costMicros === undefined ? 100 : line.costMicros;
      const record: CallRecord = {
        provider: "scripted",
        model: "m",
        stage: request.stage,
        policy: "quality-first",
        candidates: [],
        reason: "the only candidate",
        attempts: [],
        usage,
        costMicros,
        estimated: false,
        firstTokenMs: 1,
        ms: 1,
      };
      if (options.signal.aborted) return { ok: false, failure: failure("canceled", "canceled"), record };
      if (line.fails)
        return { ok: false, failure: failure(line.fails, `the script says ${line.fails}`), record };
      if (line.text) options.onDelta?.({ kind: "text", text: line.text });
      const toolCalls = (line.calls ?? []).map((one, index) => ({ id: `c${at}_${index}`, ...one }));
      const reply = {
        text: line.text ?? "",
        toolCalls,
        reasoning: "",
        finish: line.finish ?? (toolCalls.length > 0 ? ("tool_calls" as const) : ("stop" as const)),
        usage,
        model: "m",
        firstTokenMs: 1,
        ms: 1,
      };
      return { ok: true, reply, record };
    },
    resolve: (use) =>
      use === "no/such"
        ? { ok: false, failure: failure("model_unknown", "no such model") }
        : { ok: true, provider: "scripted", model: use ?? "m" },
    providers: async () => [],
    models: () => [],
  };
}

const text = { type: "object", properties: {}, additionalProperties: true } as const;

function tool(name: string, more: Partial<Tool> & Pick<Tool, "execute">): Tool {
  return { name, description: name, input: text, effect: "pure", risk: "low", readOnly: false, ...more };
}

const textAt = (input: Json, key: string): string =>
  isJsonObject(input) && typeof input[key] === "string" ? input[key] : "";

/** Real tools over real files, as small as can be. */
export function smallTools(more: readonly Tool[] = []): ToolBox & { readonly log: string[] } {
  const log: string[] = [];
  const logged = async (name: string, work: () => Promise<ToolOutput> | ToolOutput): Promise<ToolOutput> => {
    log.push(name);
    return work();
  };
  const read = tool("read", {
    readOnly: true,
    execute: (input, { root, seen }) =>
      logged(`read ${textAt(input, "path")}`, () => {
        const path = join(root, textAt(input, "path"));
        if (!existsSync(path)) return { isError: true, text: `no file ${textAt(input, "path")}` };
        const content = readFileSync(path, "utf8");
        seen.set(textAt(input, "path"), sha256(content));
        return { isError: false, text: content };
      }),
  });
  const write = tool("write", {
    effect: "query",
    recover: async (input, { root, seen }) => {
      const [path, content] = [textAt(input, "path"), textAt(input, "content")];
      const target = join(root, path);
      if (!existsSync(target) || readFileSync(target, "utf8") !== content) return null;
      seen.set(path, sha256(content));
      return { isError: false, text: `wrote ${path}`, changed: [path] };
    },
    execute: (input, { root, seen }) =>
      logged(`write ${textAt(input, "path")}`, () => {
        const [path, content] = [textAt(input, "path"), textAt(input, "content")];
        const target = join(root, path);
        if (existsSync(target) && seen.get(path) !== sha256(readFileSync(target, "utf8"))) {
          return { isError: true, text: `${path} was not read, or changed since` };
        }
        mkdirSync(dirname(target), { recursive: true });
        writeFileSync(target, content);
        seen.set(path, sha256(content));
        return { isError: false, text: `wrote ${path}`, changed: [path] };
      }),
  });
  const bash = tool("bash", {
    risk: "medium",
    execute: (input, { root, sandbox, signal, onOutput }) =>
      logged(`bash ${textAt(input, "command")}`, async () => {
        const ran = await sandbox.run(
          { run: { shell: textAt(input, "command") }, cwd: root, timeoutMs: 30_000, maxOutputBytes: 50_000 },
          { signal, graceMs: 100, ...(onOutput && { onOutput }) },
        );
        if (!ran.ok) return { isError: true, text: ran.failure.message };
        const { exitCode, stdout, stderr } = ran.result;
        return { isError: exitCode !== 0, text: `${stdout}${stderr}[exit ${exitCode}]` };
      }),
  });
  const all = new Map([read, write, bash, ...more].map((one) => [one.name, one]));
  return {
    log,
    names: [...all.keys()],
    pick: (names) => ({
      tools: names.flatMap((name) => all.get(name) ?? []),
      unknown: names.filter((name) => !all.has(name)),
    }),
  };
}

/** Gates that are shell lines: `{ test: "node test.js" }`. */
export function shellGates(
  lines: () => Readonly<Record<string, string>>,
): Gates & { readonly runs: string[] } {
  const runs: string[] = [];
  return {
    runs,
    specs: async () =>
      ok(
        Object.entries(lines()).map(
          ([name, shell]): GateSpec => ({
            name,
            run: { shell },
            workdir: ".",
            timeoutMs: 30_000,
            required: !name.endsWith("?"),
            origin: "configured",
          }),
        ),
      ),
    async run(gate, { root, sandbox, signal }) {
      runs.push(gate.name);
      const ran = await sandbox.run(
        { run: gate.run, cwd: root, timeoutMs: gate.timeoutMs, maxOutputBytes: 50_000 },
        { signal },
      );
      if (!ran.ok) return ran;
      const { exitCode, stdout, stderr, timedOut, ms } = ran.result;
      return ok({
        name: gate.name,
        command: "shell" in gate.run ? gate.run.shell : gate.run.program,
        required: gate.required,
        passed: exitCode === 0,
        exitCode,
        timedOut,
        ms,
        findings: [],
        output: stdout + stderr,
        elidedBytes: 0,
      });
    },
  };
}

export function memoryArtifacts(): ArtifactStore {
  const contents = new Map<string, Uint8Array>();
  return {
    async put(content) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      const hash = createHash("sha256").update(bytes).digest("hex");
      contents.set(hash, bytes);
      return { sha256: hash, bytes: bytes.length };
    },
    get: async (hash) => contents.get(hash) ?? null,
  };
}

export function agent(more: {
  readonly tools?: readonly string[];
  readonly limits?: Partial<AgentSpec["limits"]>;
  readonly validation?: Partial<AgentSpec["validation"]>;
  readonly name?: string;
}): AgentSpec {
  return {
    name: more.name ?? "fixer",
    description: "fixes",
    model: { stage: "execute", maxOutputTokens: 1_000 },
    tools: more.tools ?? ["read", "write", "bash"],
    limits: {
      turns: 20,
      tokens: 1_000_000,
      wallTimeMs: 60_000,
      repairRounds: 2,
      contextTokens: 0,
      compactAtTokens: 100_000,
      ...more.limits,
    },
    validation: { gates: false, mayChangeNothing: false, ...more.validation },
    prompt: "You fix things.",
    hash: "h",
  };
}

export interface World {
  readonly root: string;
  readonly workspace: Workspace;
  /** As a workflow passes it. */
  readonly wire: Json;
  readonly parts: StepParts;
  readonly gateway: ScriptedGateway;
  readonly tools: ReturnType<typeof smallTools>;
  readonly workspaces: ReturnType<typeof smallWorkspaces>;
  readonly gates: ReturnType<typeof shellGates>;
  write(path: string, content: string): void;
  read(path: string): string;
  close(): void;
}

export interface WorldOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly agents?: readonly AgentSpec[];
  readonly script?: Script;
  readonly scriptBy?: "history" | "count";
  readonly gates?: () => Readonly<Record<string, string>>;
  readonly tools?: readonly Tool[];
  readonly parts?: Partial<StepParts>;
  /** Without git: a plain folder, for loops over many worlds. */
  readonly plain?: boolean;
}

/** A real repository with a work tree, real tools, a real sandbox, and a model that plays a script. */
export function makeWorld(options: WorldOptions = {}): World {
  const home = realpathSync(mkdtempSync(join(tmpdir(), "steps-")));
  const root = join(home, "repo");
  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  put("readme.md", "hello\n");
  for (const [path, content] of Object.entries(options.files ?? {})) put(path, content);
  if (!options.plain) {
    git(root, ["init", "-q", "-b", "main"]);
    git(root, ["add", "-A"]);
    git(root, ["commit", "-q", "-m", "first"]);
  }
  const baseCommit = options.plain ? "" : git(root, ["rev-parse", "HEAD"]).trim();
  const workspace: Workspace = { run: RUN, repo: root, root, branch: "main", baseRef: "main", baseCommit };
  const agents = new Map((options.agents ?? [agent({})]).map((one) => [one.name, one]));
  const gateway = scriptedGateway(options.script ?? [], options.scriptBy);
  const tools = smallTools(options.tools);
  const workspaces = smallWorkspaces();
  const gates = shellGates(options.gates ?? (() => ({})));
  const parts: StepParts = {
    agents: { get: (name) => agents.get(name) ?? null, names: [...agents.keys()] },
    gateway,
    tools,
    sandbox: createHostSandbox(),
    workspaces: options.plain ? { ...workspaces, ...plainWorkspaces(root) } : workspaces,
    gates,
    artifacts: memoryArtifacts(),
    authorize: authorizeByRisk({ allowUpTo: "high", above: "deny", askTimeoutMs: 1_000 }),
    author: { name: "Runner", email: "runner@example.com" },
    scratchRoot: join(home, "scratch"),
    os: "test os",
    programs: async () => ["git", "node"],
    ...options.parts,
  };
  return {
    root,
    workspace,
    wire: workspaceToWire(workspace),
    parts,
    gateway,
    tools,
    workspaces,
    gates,
    write: put,
    read: (path) => readFileSync(join(root, path), "utf8"),
    close: () => rmSync(home, { recursive: true, force: true }),
  };
}
