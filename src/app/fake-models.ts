import { readFile } from "node:fs/promises";
import { type FakeModels, startFakeModels } from "../adapters/models/fake-server/server.ts";
import { parseScript } from "../adapters/models/script/parse.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { systemClock } from "./system-clock.ts";

/** A server on loopback that plays scripts over the wire protocols of real providers. Port 0 takes a free one. */
export async function serveFakeModels(of: {
  readonly scripts: readonly string[];
  readonly port: number;
}): Promise<Pick<FakeModels, "url" | "close">> {
  const scripts = [];
  for (const path of of.scripts) {
    const source = await readFile(path, "utf8").catch((error: Error) => {
      throw new FailureError(failure("invalid_script", `${path} cannot be read: ${error.message}`));
    });
    const script = parseScript(source, path);
    if (!script.ok) throw new FailureError(script.failure);
    scripts.push(script.value);
  }
  try {
    return await startFakeModels({ scripts, clock: systemClock, port: of.port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new FailureError(
        failure("address_in_use", `Something else listens on 127.0.0.1:${of.port} already.`),
      );
    }
    if (code === "EACCES") throw new FailureError(failure("invalid_config", `Cannot listen: ${message}.`));
    throw error;
  }
}
