/** How much of its score a file keeps for what its path says about it. */
const PATH_FACTORS: readonly (readonly [pattern: RegExp, factor: number])[] = [
  [/(?:^|\/)(?:node_modules|vendor|third[_-]?party|bower_components|\.yarn)\//i, 0.3],
  [
    /(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|bun\.lockb|go\.sum|[\w.-]+\.lock)$/i,
    0.4,
  ],
  [/\.min\.(?:js|css|mjs)$|\.(?:map|bundle\.js)$/i, 0.2],
  [/\.(?:snap|pb\.go|g\.dart|designer\.cs)$|_pb2(?:_grpc)?\.py$/i, 0.5],
  [/(?:^|\/)(?:dist|\.next|coverage)\//, 0.3],
];

/** In (0, 1]: lock files, vendored, minified and generated files are rarely what a task is about. */
export function pathFactor(path: string): number {
  for (const [pattern, factor] of PATH_FACTORS) if (pattern.test(path)) return factor;
  return 1;
}

const TEST_NAME =
  /(?:^|[._-])(?:tests?|spec|e2e|bench(?:mark)?)(?=[._-]|$)|(?<=[a-z0-9])(?:Tests?|Spec|IT)$|^Test(?=[A-Z])/g;
const TEST_FOLDER = /(?:^|\/)(?:tests?|specs?|__tests__|e2e|testing|testdata)\//i;

export function isTest(path: string): boolean {
  return TEST_FOLDER.test(path) || nameOf(path).replaceAll(TEST_NAME, "") !== nameOf(path);
}

/** What a file and its test have in common: `foo` for foo.ts, foo.test.ts, foo_test.go, test_foo.py, FooTest.java. */
export function subjectOf(path: string): string {
  return nameOf(path)
    .replaceAll(TEST_NAME, "")
    .replaceAll(/[._-]+/g, "")
    .toLowerCase();
}

/** The file name up to its last extension, and without `.d` of a declaration. */
function nameOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return (dot > 0 ? name.slice(0, dot) : name).replace(/\.d$/, "");
}
