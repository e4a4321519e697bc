import { STATUS_CODES } from "node:http";
import swagger, { type FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import {
  createJsonSchemaTransform,
  createJsonSchemaTransformObject,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { z } from "zod";

const DESCRIPTION = `Fields are snake_case, moments RFC 3339 in UTC, spans milliseconds.
Every answer that is not a success has the shape \`Error\`; its codes are listed in docs/reference/errors.md.
The server listens on loopback only and answers only programs of its own machine and its own pages.`;

type ZodToJson = NonNullable<Parameters<typeof createJsonSchemaTransform>[0]["zodToJsonConfig"]>;

/** Bounds that zod gives every whole number say nothing. */
const zodToJsonConfig: ZodToJson = {
  override({ jsonSchema }) {
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  },
};

/** Collects the document from the schemas of the routes that are registered afterwards; served at `/openapi.json`. */
export function describeApi(app: FastifyInstance, version: string): void {
  const nameAll = createJsonSchemaTransformObject({ zodToJsonConfig });
  const options: FastifyDynamicSwaggerOptions = {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "agent-runner",
        version,
        description: DESCRIPTION,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: (document) => tidyComponents(nameAll(document)),
  };
  app.register(swagger, options);
  app.register(async (scope) => {
    scope.withTypeProvider<ZodTypeProvider>().get(
      "/openapi.json",
      {
        schema: {
          tags: ["health"],
          operationId: "openApi",
          summary: "This document",
          response: { 200: z.record(z.string(), z.unknown()) },
        },
      },
      async () => ({ ...app.swagger() }),
    );
  });
}

interface Described {
  description?: string;
  headers?: object;
}

/** Statuses that are answered with the time to come again. */
const COME_AGAIN: ReadonlySet<string> = new Set(["429", "503"]);
const RETRY_AFTER = {
  description: "Seconds to wait before the same request is sent again; `details.retry_after_ms` is exact.",
  schema: { type: "integer", minimum: 1 },
};

interface Document {
  paths?: Record<string, Record<string, { responses?: Record<string, Described> }>>;
  components?: { schemas?: Record<string, unknown> };
}

const REF = "#/components/schemas/";

/**
 * The generator names each schema twice, as something received (`RunInput`) and something sent (`Run`).
 * Only what is referred to stays, and a schema that is only received has its own name back.
 */
function tidyComponents<T extends object>(document: T): T {
  const { components, ...rest } = document as Document;
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      const name = key === "$ref" && typeof member === "string" ? member.slice(REF.length) : null;
      if (name === null) visit(member);
      else if (!used.has(name)) {
        used.add(name);
        visit(schemas[name]);
      }
    }
  };
  visit(rest);
  nameResponses(rest);
  let text = JSON.stringify({
    ...rest,
    components: {
      ...components,
      schemas: Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name))),
    },
  });
  for (const name of used) {
    const plain = name.replace(/Input$/, "");
    if (plain === name || used.has(plain)) continue;
    text = text.replaceAll(`"${REF}${name}"`, `"${REF}${plain}"`).replaceAll(`"${name}":{`, `"${plain}":{`);
  }
  return JSON.parse(text) as T;
}

/** Where nothing better is said, a response is described by its status. */
function nameResponses(document: Document): void {
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.values(path));
  for (const { responses = {} } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      if (response.description === "Default Response") response.description = STATUS_CODES[status] ?? status;
      if (COME_AGAIN.has(status)) response.headers = { "Retry-After": RETRY_AFTER };
    }
  }
}
