import { sandboxLaws } from "../../../contracts/sandbox.suite.ts";
import { createHostSandbox } from "./host-sandbox.ts";

sandboxLaws({ open: () => createHostSandbox(), endsEscapedProcesses: process.platform === "linux" });
