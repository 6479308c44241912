// The server that the suite's scenarios expect, once for each era: `/sessions` and `/stateless`. It looks at neither
// Host nor Origin, and at no header that a gateway has to look at: what turns green behind the gateway is the gateway's.
// node main.mjs PORT
import http from "node:http";
import { sessionful } from "./sessions.mjs";
import { stateless } from "./stateless.mjs";

const paths = { "/sessions": sessionful, "/stateless": stateless };

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
}

http
  .createServer(async (request, response) => {
    try {
      const answer = paths[new URL(request.url, "http://localhost").pathname];
      if (!answer) return response.writeHead(404).end();
      await answer(request, response, await body(request));
    } catch (error) {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
