import { z } from "zod";
import { defineTool, refuse, said } from "./define-tool.ts";

const MAX_TEXT_CHARS = 10_000;

export const finishTool = defineTool({
  name: "finish",
  description:
    "End your work and say how it ended. Call it once, as the last thing, after you have checked the result. Checks run afterwards and may bring you back.",
  fields: {
    outcome: z
      .enum(["done", "nothing_to_do", "cannot"])
      .describe(
        "`done`: the task is complete. `nothing_to_do`: it was so already. `cannot`: you are unable to do it.",
      ),
    summary: z
      .string()
      .min(1)
      .max(MAX_TEXT_CHARS)
      .describe("What you did and how you checked it, for a reader in a hurry."),
    reason: z
      .string()
      .max(MAX_TEXT_CHARS)
      .optional()
      .describe("Why there was nothing to do, or why you cannot do it."),
  },
  effect: "pure",
  risk: "low",
  readOnly: true,
  async run({ outcome, summary, reason }) {
    if (outcome !== "done" && (reason ?? "").trim() === "") {
      refuse(
        `\`reason\` is missing. With \`outcome\` ${outcome} say why, so that a person can act on it.`,
        "tool_invalid_input",
      );
    }
    return said(`Noted: ${outcome}.`, {
      data: { outcome, summary, ...(reason === undefined ? {} : { reason }) },
    });
  },
});
