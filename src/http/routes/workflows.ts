import { z } from "zod";
import { findWorkflow } from "../../operations/workflows/find-workflow.ts";
import { listWorkflows } from "../../operations/workflows/list-workflows.ts";
import { uploadWorkflow } from "../../operations/workflows/upload-workflow.ts";
import { validateWorkflow } from "../../operations/workflows/validate-workflow.ts";
import {
  UploadedWorkflowSchema,
  ValidationSchema,
  WorkflowListSchema,
  WorkflowParams,
  WorkflowSchema,
  WorkflowSourceSchema,
} from "../api.ts";
import { useYamlBodies, YAML_TYPES } from "../body.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentDiagnostic, presentListedWorkflow, presentWorkflow } from "../present-definitions.ts";
import { failures } from "./responses.ts";

const tags = ["workflows"];
const consumes = ["application/json", ...YAML_TYPES];
/** YAML as it is, or wrapped in JSON. */
const SourceBody = z.preprocess(
  (body) => (typeof body === "string" ? { source: body } : body),
  WorkflowSourceSchema,
);

export function workflowRoutes(app: App, parts: RouteParts): void {
  useYamlBodies(app);
  readRoutes(app, parts);
  writeRoutes(app, parts);
}

function readRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/workflows",
    {
      schema: {
        tags,
        operationId: "listWorkflows",
        summary: "The newest version of each workflow",
        response: { 200: WorkflowListSchema, ...failures(503) },
      },
    },
    async () => ({ workflows: valueOrThrow(await listWorkflows(parts)).map(presentListedWorkflow) }),
  );

  app.get(
    "/workflows/schema",
    {
      schema: {
        tags,
        operationId: "workflowSchema",
        summary: "JSON Schema of a workflow file, for editors",
        response: { 200: z.record(z.string(), z.unknown()) },
      },
    },
    async () => ({ ...parts.definitions.workflowSchema() }),
  );

  app.get(
    "/workflows/:name",
    {
      schema: {
        tags,
        operationId: "getWorkflow",
        summary: "A workflow by name or hash, with its graph and source",
        params: WorkflowParams,
        response: { 200: WorkflowSchema, ...failures(404, 503) },
      },
    },
    async (request) => presentWorkflow(valueOrThrow(await findWorkflow(parts, request.params.name))),
  );
}

function writeRoutes(app: App, parts: RouteParts): void {
  app.post(
    "/workflows/validate",
    {
      schema: {
        tags,
        operationId: "validateWorkflow",
        summary: "Check a workflow without saving it",
        consumes,
        body: SourceBody,
        response: { 200: ValidationSchema, ...failures(400, 413, 415) },
      },
    },
    async (request) => {
      const { source, file } = request.body;
      const parsed = validateWorkflow(parts, file === undefined ? { source } : { source, file });
      if (!parsed.ok) {
        const diagnostics = parsed.diagnostics.map(presentDiagnostic);
        return { valid: false, name: null, hash: null, diagnostics, warnings: [] };
      }
      const { name, hash } = parsed.value;
      return { valid: true, name, hash, diagnostics: [], warnings: parsed.warnings.map(presentDiagnostic) };
    },
  );

  app.post(
    "/workflows",
    {
      schema: {
        tags,
        operationId: "uploadWorkflow",
        summary: "Save a workflow as the newest of its name",
        description:
          "Names of built-in and project workflows are taken. The same definition again changes nothing.",
        consumes,
        body: SourceBody,
        response: {
          200: UploadedWorkflowSchema,
          201: UploadedWorkflowSchema,
          ...failures(400, 409, 413, 415, 422, 503),
        },
      },
    },
    async (request, reply) => {
      const { source, file } = request.body;
      const saved = valueOrThrow(
        await uploadWorkflow(parts, file === undefined ? { source } : { source, file }),
      );
      const { stored, created } = saved;
      return reply
        .code(created ? 201 : 200)
        .header("location", `/workflows/${encodeURIComponent(stored.workflow.name)}`)
        .send({
          workflow: presentWorkflow(stored),
          created,
          warnings: saved.warnings.map(presentDiagnostic),
        });
    },
  );
}
