// The floors of the house, lowest first. A folder may import itself and what is named here.
const MAY_IMPORT = {
  base: [],
  domain: ["base"],
  contracts: ["base", "domain"],
  engine: ["base", "domain", "contracts"],
  gateway: ["base", "domain", "contracts"],
  operations: ["base", "domain", "contracts"],
  adapters: ["base", "domain", "contracts"],
  app: ["base", "domain", "contracts", "engine", "gateway", "operations", "adapters"],
  http: ["base", "domain", "contracts", "operations"],
  cli: ["base", "domain", "contracts", "operations", "app", "http"],
};

const floors = Object.entries(MAY_IMPORT).map(([floor, allowed]) => ({
  name: `floor:${floor}`,
  severity: "error",
  from: { path: `^src/${floor}/`, pathNot: "\\.(test|suite)\\.ts$" },
  to: { path: "^src/", pathNot: `^src/(${[floor, ...allowed].join("|")})/` },
}));
const ban = (name, from, to) => ({ name, severity: "error", from, to });

module.exports = {
  forbidden: [
    ...floors,
    ban("no-cycles", {}, { circular: true }),
    ban(
      "adapters-are-strangers",
      { path: "^src/adapters/([^/]+)/", pathNot: "\\.(test|suite)\\.ts$" },
      { path: "^src/adapters/", pathNot: "^src/adapters/$1/" },
    ),
    // What the books of a fake server are compared with must not have written them.
    ban(
      "fakes-are-strangers",
      { path: "^src/adapters/models/(fake-server|script)/", pathNot: "\\.(test|suite)\\.ts$" },
      { path: "^src/(gateway/|adapters/models/(?!fake-server/|script/))" },
    ),
    ban(
      "suites-are-for-tests",
      { path: "^src/", pathNot: "\\.(test|suite)\\.ts$" },
      { path: "\\.(test|suite)\\.ts$" },
    ),
    ban(
      "contracts-hold-no-code",
      { path: "^src/contracts/", pathNot: "\\.suite\\.ts$" },
      { dependencyTypesNot: ["type-only"] },
    ),
    // One exception, by ADR 0005: the schema library describes the domain's own shapes.
    ban(
      "domain-has-no-packages",
      { path: "^src/(base|domain)/", pathNot: "\\.test\\.ts$" },
      {
        dependencyTypes: ["npm", "npm-dev", "npm-no-pkg", "npm-unknown", "core"],
        pathNot: "node_modules/zod/",
      },
    ),
    ban("base-has-no-packages", { path: "^src/base/", pathNot: "\\.test\\.ts$" }, { path: "node_modules/" }),
    ban(
      "console-knows-only-the-api",
      { path: "^console/" },
      { path: "^src/", pathNot: "^src/http/api\\.ts$" },
    ),
    ban(
      "console-imports-types-only",
      { path: "^console/" },
      { path: "^src/", dependencyTypesNot: ["type-only"] },
    ),
    ban("no-orphans", { orphan: true, pathNot: "\\.(d|test|suite)\\.ts$" }, {}),
    ban("not-unresolvable", {}, { couldNotResolve: true }),
    ban(
      "no-dev-dependencies-in-product",
      { path: "^src/", pathNot: "\\.(test|suite)\\.ts$" },
      { dependencyTypes: ["npm-dev"], pathNot: "node_modules/@types/" },
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^dist" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node", "default"],
    },
  },
};
