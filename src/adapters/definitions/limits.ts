/** Bounds of definition files beyond those of `domain/limits.ts`. */
export const DEFINITION_LIMITS = {
  agentBytes: 65_536,
  /** Values and keys in one YAML document, aliases unfolded. */
  yamlNodes: 20_000,
  yamlAliases: 100,
  /** Levels of a YAML document. */
  yamlDepth: 64,
  /** Problems told of one file. */
  diagnostics: 50,
  /** Members and values of a workflow's `inputs` schema. */
  schemaNodes: 2_000,
  /** `uniqueItems` compares each with each. */
  uniqueItems: 1_000,
  /** Characters of a `pattern` in an `inputs` schema. */
  patternChars: 200,
  /** Characters of a text that is compared with a `pattern`. */
  patternTextChars: 1_000,
  /** Compiled `inputs` schemas kept. */
  cachedSchemas: 200,
  /** Definition files read from one folder. */
  filesPerFolder: 500,
} as const;
