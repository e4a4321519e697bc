/** Every bound of the expression language. All are counted, none is timed: an expression ends the same way on every machine. */
export const EXPRESSION_LIMITS = {
  /** Characters of one expression. */
  chars: 4_096,
  /** Nodes of its syntax tree. */
  nodes: 1_000,
  /** Brackets within brackets. */
  nesting: 48,
  /** Units of work of one evaluation: one for a node, one for a character or a member that an operation handles. */
  work: 10_000_000,
  /** Compiled expressions kept. */
  cached: 1_000,
} as const;
