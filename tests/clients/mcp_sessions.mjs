// MCP with the official SDK for JavaScript of the revisions with sessions: list, call, be denied, and call again on one
// session, against servers of both eras.

import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { GATEWAY, key, run } from "./harness.mjs";

const text = ({ content, isError }) => [content[0].text, Boolean(isError)];

async function connected(path, check) {
  const headers = { Authorization: `Bearer ${key("acme")}` };
  const transport = new StreamableHTTPClientTransport(new URL(`${GATEWAY}${path}`), { requestInit: { headers } });
  const client = new Client({ name: "check", version: "1" });
  await client.connect(transport);
  try {
    await check(client);
    await transport.terminateSession();
  } finally {
    await client.close();
  }
}

const talk = (path, prefix) => connected(path, async (client) => {
  const listed = (await client.listTools()).tools.map(({ name }) => name).filter((name) => name.startsWith(prefix));
  assert.deepEqual(listed, [`${prefix}create_ticket`, `${prefix}get_weather`]);
  for (let round = 0; round < 2; round += 1) {
    const weather = await client.callTool({ name: `${prefix}get_weather`, arguments: { city: "Bern" } });
    assert.deepEqual(text(weather), ["Sunny and 21 degrees in Bern.", false]);
    const denied = await client.callTool({ name: `${prefix}create_ticket`, arguments: { title: "bad" } });
    assert.deepEqual(text(denied), ["Denied: no rule allows it with these arguments", true]);
    for (const hidden of ["delete_ticket", "nothing"]) {
      const name = `${prefix}${hidden}`;
      await assert.rejects(client.callTool({ name, arguments: {} }), { code: -32602, message: new RegExp(`Unknown tool: ${name}$`) });
    }
  }
});

const progress = () => connected("/mcp/live", async (client) => {
  const told = [];
  const options = { onprogress: ({ progress: done, total }) => told.push([done, total]) };
  const weather = await client.callTool({ name: "get_weather", arguments: { city: "Bern" } }, undefined, options);
  assert.deepEqual(text(weather), ["Sunny and 21 degrees in Bern.", false]);
  assert.deepEqual(told, [[1, 2]]);
});

const checks = ["crm", "old", "new"].flatMap((server) => [
  [`${server} by itself`, () => talk(`/mcp/${server}`, "")],
  [`${server} among all`, () => talk("/mcp", `${server}__`)],
]);
await run("mcp_sessions.mjs", GATEWAY ? [...checks, ["progress arrives", progress]] : []);
