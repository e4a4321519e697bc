#!/usr/bin/env node
import { enableCompileCache } from "node:module";

// Before anything large is loaded: from the second time on it is loaded compiled.
enableCompileCache();
const { runCli } = await import("./program.ts");

// Not process.exit: what is still on its way to a slow pipe must arrive.
process.exitCode = await runCli(process.argv);
