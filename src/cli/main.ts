#!/usr/bin/env node
import { runCli } from "./program.ts";

// Not process.exit: what is still on its way to a slow pipe must arrive.
process.exitCode = await runCli(process.argv);
