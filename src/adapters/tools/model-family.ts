export type ModelFamily = "claude" | "gpt" | "gemini" | "small" | "unknown";

/** Providers that run models on one's own machine, whatever the models are called. */
const LOCAL_PROVIDERS = new Set([
  "ollama",
  "lmstudio",
  "llamacpp",
  "llama.cpp",
  "vllm",
  "local",
  "localai",
  "mlx",
]);
const NAMES: readonly (readonly [ModelFamily, RegExp])[] = [
  ["claude", /(^|[^a-z])claude/],
  ["gemini", /(^|[^a-z])gemini/],
  ["small", /(^|[^a-z])(gpt-oss|gemma|llama|qwen|mistral|mixtral|phi|starcoder|codellama|granite|smollm)/],
  ["gpt", /(^|[^a-z])(gpt|chatgpt|codex|o[1-9])(?![a-z])/],
];

/** Which way of editing a model was trained on, told from its name (`provider/model`, with or without a vendor between). */
export function modelFamily(model: string): ModelFamily {
  const name = model.toLowerCase();
  if (LOCAL_PROVIDERS.has(name.split("/", 1).join(""))) return "small";
  return NAMES.find(([, pattern]) => pattern.test(name))?.[0] ?? "unknown";
}
