/** A language whose definitions are found with a tree-sitter grammar. */
export interface Language {
  /** Name of the grammar: the file is `tree-sitter-<grammar>.wasm`. */
  readonly grammar: string;
  /**
   * Patterns whose captures are the names of definitions; a capture's name is the kind of its definition.
   */
  readonly query: string;
}

const SCRIPT_TOP_LEVEL = `
  (program (lexical_declaration (variable_declarator name: (identifier) @constant)))
  (program (variable_declaration (variable_declarator name: (identifier) @constant)))
  (program (export_statement (lexical_declaration (variable_declarator name: (identifier) @constant))))
`;
const SCRIPT_CALLABLES = `
  (function_declaration name: (identifier) @function)
  (generator_function_declaration name: (identifier) @function)
  (class_body (method_definition name: (_) @method))
  (program (expression_statement (assignment_expression
    left: (member_expression property: (property_identifier) @function)
    right: [(function_expression) (arrow_function) (class)])))
`;

const JAVASCRIPT = `${SCRIPT_TOP_LEVEL}${SCRIPT_CALLABLES}
  (class_declaration name: (identifier) @class)
`;
const TYPESCRIPT = `${SCRIPT_TOP_LEVEL}${SCRIPT_CALLABLES}
  (class_declaration name: (type_identifier) @class)
  (abstract_class_declaration name: (type_identifier) @class)
  (abstract_method_signature name: (_) @method)
  (function_signature name: (identifier) @function)
  (interface_declaration name: (type_identifier) @interface)
  (type_alias_declaration name: (type_identifier) @type)
  (enum_declaration name: (identifier) @enum)
  (internal_module name: (_) @module)
`;
const PYTHON = `
  (class_definition name: (identifier) @class)
  (class_definition body: (block (function_definition name: (identifier) @method)))
  (class_definition body: (block (decorated_definition (function_definition name: (identifier) @method))))
  (module (function_definition name: (identifier) @function))
  (module (decorated_definition (function_definition name: (identifier) @function)))
  (module (_ (function_definition name: (identifier) @function)))
  (module (expression_statement (assignment left: (identifier) @constant)))
`;
const GO = `
  (function_declaration name: (identifier) @function)
  (method_declaration name: (field_identifier) @method)
  (type_spec name: (type_identifier) @type)
  (type_alias name: (type_identifier) @type)
  (source_file (const_declaration (const_spec name: (identifier) @constant)))
  (source_file (var_declaration (var_spec name: (identifier) @constant)))
`;
const RUST = `
  (function_item name: (identifier) @function)
  (function_signature_item name: (identifier) @function)
  (struct_item name: (type_identifier) @class)
  (enum_item name: (type_identifier) @enum)
  (union_item name: (type_identifier) @class)
  (trait_item name: (type_identifier) @interface)
  (type_item name: (type_identifier) @type)
  (mod_item name: (identifier) @module)
  (macro_definition name: (identifier) @macro)
  (const_item name: (identifier) @constant)
  (static_item name: (identifier) @constant)
`;
const JAVA = `
  (class_declaration name: (identifier) @class)
  (record_declaration name: (identifier) @class)
  (interface_declaration name: (identifier) @interface)
  (annotation_type_declaration name: (identifier) @interface)
  (enum_declaration name: (identifier) @enum)
  (method_declaration name: (identifier) @method)
  (constructor_declaration name: (identifier) @method)
`;
const CPP = `
  (function_definition declarator: (function_declarator declarator: (_) @function))
  (function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (_) @function)))
  (function_definition declarator: (reference_declarator (function_declarator declarator: (_) @function)))
  (translation_unit (declaration declarator: (function_declarator declarator: (identifier) @function)))
  (class_specifier name: (type_identifier) @class body: (_))
  (struct_specifier name: (type_identifier) @class body: (_))
  (union_specifier name: (type_identifier) @class body: (_))
  (enum_specifier name: (type_identifier) @enum body: (_))
  (type_definition declarator: (type_identifier) @type)
  (alias_declaration name: (type_identifier) @type)
  (namespace_definition name: (_) @module)
  (preproc_def name: (identifier) @macro)
  (preproc_function_def name: (identifier) @macro)
`;
const RUBY = `
  (class name: (_) @class)
  (module name: (_) @module)
  (method name: (_) @method)
  (singleton_method name: (_) @method)
  (assignment left: (constant) @constant)
`;
const PHP = `
  (class_declaration name: (name) @class)
  (interface_declaration name: (name) @interface)
  (trait_declaration name: (name) @class)
  (enum_declaration name: (name) @enum)
  (function_definition name: (name) @function)
  (method_declaration name: (name) @method)
`;
const C_SHARP = `
  (class_declaration name: (identifier) @class)
  (record_declaration name: (identifier) @class)
  (struct_declaration name: (identifier) @class)
  (interface_declaration name: (identifier) @interface)
  (enum_declaration name: (identifier) @enum)
  (delegate_declaration name: (identifier) @type)
  (method_declaration name: (identifier) @method)
  (constructor_declaration name: (identifier) @method)
  (property_declaration name: (identifier) @property)
`;
const BASH = "(function_definition name: (word) @function)";
const POWERSHELL = "(function_statement (function_name) @function) (class_statement (simple_name) @class)";

const LANGUAGES: readonly (readonly [extensions: string, language: Language])[] = [
  ["js mjs cjs jsx", { grammar: "javascript", query: JAVASCRIPT }],
  ["ts mts cts", { grammar: "typescript", query: TYPESCRIPT }],
  ["tsx", { grammar: "tsx", query: TYPESCRIPT }],
  ["py pyi", { grammar: "python", query: PYTHON }],
  ["go", { grammar: "go", query: GO }],
  ["rs", { grammar: "rust", query: RUST }],
  ["java", { grammar: "java", query: JAVA }],
  ["c h cc cpp cxx hh hpp hxx ino", { grammar: "cpp", query: CPP }],
  ["rb rake gemspec", { grammar: "ruby", query: RUBY }],
  ["php", { grammar: "php", query: PHP }],
  ["cs", { grammar: "c-sharp", query: C_SHARP }],
  ["sh bash zsh bats", { grammar: "bash", query: BASH }],
  ["ps1 psm1", { grammar: "powershell", query: POWERSHELL }],
];

const BY_EXTENSION: ReadonlyMap<string, Language> = new Map(
  LANGUAGES.flatMap(([extensions, language]) =>
    extensions.split(" ").map((name) => [name, language] as const),
  ),
);

export function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : "";
}

/** The language of a path, or `null` when no grammar knows it. */
export function languageOf(path: string): Language | null {
  return BY_EXTENSION.get(extensionOf(path)) ?? null;
}
