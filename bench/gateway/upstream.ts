// A provider that does nothing but stream: `node bench/gateway/upstream.ts <first ms> <pieces> <pace ms>`. Says its port, and
// ends with its stdin. As light as it can be, so that what is measured is not it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const [firstMs = 200, pieces = 20, paceMs = 200] = process.argv.slice(2).map(Number);
const shell = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1_760_000_000, model: "m" };
const chunk = (of: object) => `data: ${JSON.stringify({ ...shell, ...of })}\n\n`;
const piece = chunk({ choices: [{ index: 0, delta: { content: "some words, " }, finish_reason: null }] });
const end =
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }) +
  chunk({
    choices: [],
    usage: { prompt_tokens: 3_000, completion_tokens: pieces * 3, total_tokens: 3_000 },
  }) +
  "data: [DONE]\n\n";

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume();
  request.once("end", () => {
    // By the moment the request came, so that late timers do not add up over an answer.
    const startedAt = performance.now();
    let sent = 0;
    let timer: NodeJS.Timeout;
    const next = () => {
      if (sent === 0) response.writeHead(200, { "content-type": "text/event-stream" });
      sent += 1;
      response.write(piece);
      if (sent < pieces) timer = setTimeout(next, startedAt + firstMs + sent * paceMs - performance.now());
      else response.end(end);
    };
    timer = setTimeout(next, firstMs);
    response.once("close", () => clearTimeout(timer));
  });
});
server.listen(0, "127.0.0.1", 4_096, () => console.log((server.address() as AddressInfo).port));
process.stdin.resume().once("close", () => process.exit(0));
