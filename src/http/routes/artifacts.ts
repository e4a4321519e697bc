import { z } from "zod";
import { listArtifacts } from "../../operations/artifacts/list-artifacts.ts";
import { findArtifact, readArtifact } from "../../operations/artifacts/read-artifact.ts";
import { ArtifactListSchema, ArtifactParams, RunParams } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentArtifact } from "../present.ts";
import { failures } from "./responses.ts";

const tags = ["artifacts"];

export function artifactRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/runs/:id/artifacts",
    {
      schema: {
        tags,
        operationId: "listArtifacts",
        summary: "What a run has left so far",
        params: RunParams,
        response: { 200: ArtifactListSchema, ...failures(404, 503) },
      },
    },
    async (request) => {
      const artifacts = valueOrThrow(await listArtifacts(parts, request.params.id));
      return { artifacts: artifacts.map(presentArtifact) };
    },
  );

  app.get(
    "/runs/:id/artifacts/:artifact_id/download",
    {
      schema: {
        tags,
        operationId: "downloadArtifact",
        summary: "The content of an artifact",
        description:
          "`ETag` is the content's sha-256. Always an attachment: nothing of a run is shown as a page of ours.",
        params: ArtifactParams,
        response: {
          200: {
            description: "The content, with its own media type.",
            content: { "application/octet-stream": { schema: z.unknown() } },
          },
          304: z.null(),
          ...failures(404, 410, 500, 503),
        },
      },
    },
    async (request, reply) => {
      const { id: run, artifact_id: artifact } = request.params;
      const found = valueOrThrow(await findArtifact(parts, { run, artifact }));
      const tag = `"${found.sha256}"`;
      reply.header("etag", tag).header("cache-control", "private, no-cache");
      if (request.headers["if-none-match"]?.split(",").some((one) => one.trim() === tag)) {
        return reply.code(304).send(null);
      }
      const content = valueOrThrow(await readArtifact(parts, found));
      return reply
        .code(200)
        .header("content-type", safeMediaType(found.mediaType))
        .header("content-disposition", contentDisposition(found.name))
        .header("content-security-policy", "sandbox; default-src 'none'")
        .send(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
    },
  );
}

const MEDIA_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(; ?[\w-]{1,40}=[\w.-]{1,80}){0,3}$/;

/** A run chooses the type; what is not one must not reach a header. */
export function safeMediaType(type: string): string {
  return MEDIA_TYPE.test(type) ? type : "application/octet-stream";
}

/** RFC 6266: an ASCII name for old readers, the exact one in UTF-8; no path, no control characters, no quotes. */
export function contentDisposition(name: string): string {
  const LONGEST = 150;
  const base = name
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, "")
    .split(/[\\/]/)
    .at(-1)
    ?.slice(0, LONGEST)
    .toWellFormed();
  const safe = !base || /^\.+$/.test(base) ? "artifact" : base;
  const ascii = safe.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(safe).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${exact}`;
}
