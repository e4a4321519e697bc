import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/fixtures/**", "examples/**"],
    setupFiles: ["tests/support/properties.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Of one file's concurrent tests, which wait for pauses between tries rather than for the processor.
    maxConcurrency: 16,
    coverage: {
      provider: "v8",
      include: ["src/domain/**/*.ts", "src/base/**/*.ts"],
      exclude: ["**/*.test.ts", "**/*.suite.ts"],
      thresholds: { lines: 100, functions: 100, branches: 100, statements: 100 },
    },
  },
});
