import { describe, expect, it } from "vitest";
import { compatibleAt, judgeSchema, migrationsOf, newestSchema, type SchemaState } from "./migrations.ts";

const state = (version: number, over: Partial<SchemaState> = {}): SchemaState => ({
  version,
  compatible: version,
  unfinished: false,
  ...over,
});
const judge = (of: SchemaState, mode: "auto" | "off" = "auto") =>
  judgeSchema(of, { newest: 5, mode, database: "the database" });
const failing = (code: string, message: RegExp) =>
  expect.objectContaining({
    failure: expect.objectContaining({ code, message: expect.stringMatching(message) }),
  });
const refusal = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
};

describe("a schema", () => {
  it("is brought up to date, or left as it is", () => {
    expect(judge(state(0))).toBe("migrate");
    expect(judge(state(4))).toBe("migrate");
    expect(judge(state(5))).toBe("none");
    expect(judge(state(5), "off")).toBe("none");
  });

  it("that is newer is worked on where it does not break this program, and refused where it does", () => {
    expect(judge(state(9, { compatible: 5 }))).toBe("none");
    expect(judge(state(9, { compatible: 2 }), "off")).toBe("none");
    expect(refusal(() => judge(state(9, { compatible: 6 })))).toEqual(
      failing(
        "store_incompatible",
        /version 9, which needs an agent-runner that knows version 6; .* up to 5/,
      ),
    );
  });

  it("that is older is refused where it may not be touched", () => {
    expect(refusal(() => judge(state(4), "off"))).toEqual(
      failing("store_outdated", /version 4, this agent-runner needs 5, and AGENT_RUNNER_MIGRATE is off/),
    );
  });

  it("of half a copy is nobody's", () => {
    expect(refusal(() => judge(state(5, { unfinished: true })))).toEqual(
      failing("copy_unfinished", /db copy/),
    );
  });
});

describe("the migrations", () => {
  it("are the same in both databases, one after the other, each compatible with something that is there", () => {
    const [sqlite, postgres] = [migrationsOf("sqlite"), migrationsOf("postgres")];
    const said = (all: typeof sqlite) => all.map(({ name, compatible }) => `${name} ${compatible}`);
    expect(said(sqlite)).toEqual(said(postgres));
    const versions = sqlite.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    for (const { name, version, compatible } of sqlite) {
      expect(compatible, name).toBeLessThanOrEqual(version);
      expect(compatible, name).toBeGreaterThan(0);
    }
  });

  it("need the newest program that any of them needs", () => {
    expect(compatibleAt("sqlite", 0)).toBe(0);
    expect(compatibleAt("sqlite", 1)).toBe(1);
    const newest = newestSchema("sqlite");
    expect(compatibleAt("sqlite", newest)).toBe(
      Math.max(...migrationsOf("sqlite").map(({ compatible }) => compatible)),
    );
  });
});
