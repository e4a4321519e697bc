import { readFile } from "node:fs/promises";
import pino from "pino";
import { createPrometheus } from "../src/adapters/metrics/prometheus.ts";
import { createHttpServer, type HttpParts } from "../src/http/server.ts";

/** The text of `openapi.json`, from the routes as they are registered. */
export async function openApiDocument(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  const described: Partial<HttpParts> = {
    version: manifest.version,
    logger: pino({ level: "silent" }),
    clock: { now: () => 0, after: () => () => {} },
    metrics: createPrometheus(),
    newId: (prefix: string) => `${prefix}_0`,
  };
  // Describing a route calls nothing of what it would need to answer.
  const server = createHttpServer(described as HttpParts);
  try {
    const answer = await server.app.inject({ url: "/openapi.json" });
    return `${JSON.stringify(answer.json(), null, 2)}\n`;
  } finally {
    await server.close();
  }
}
