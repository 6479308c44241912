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

const besideTools = (path, prefix) => connected(path, async (client) => {
  const { prompts, resources, completions } = client.getServerCapabilities();
  assert.ok(prompts && resources && completions);
  assert.match(client.getInstructions(), /Tickets are opened with create_ticket\./);
  const listed = (await client.listPrompts()).prompts.map(({ name }) => name).filter((name) => name.startsWith(prefix));
  assert.deepEqual(listed, [`${prefix}greet`]);
  const greet = (name) => client.getPrompt({ name: `${prefix}greet`, arguments: { name } });
  assert.equal((await greet("Ada")).messages[0].content.text, "Greet Ada.");
  await assert.rejects(greet("Bob"), { code: -32602, message: /Denied: no rule allows it with these arguments$/ });
  const { completion } = await client.complete({ ref: { type: "ref/prompt", name: `${prefix}greet` }, argument: { name: "name", value: "A" } });
  assert.deepEqual(completion.values, ["Ada", "Alan"]);
  await assert.rejects(client.readResource({ uri: "note://secret" }), { code: -32002, message: /Resource not found: note:\/\/secret$/ });
  if (prefix === "") {
    assert.deepEqual((await client.listResources()).resources.map(({ uri }) => uri), ["note://welcome"]);
    const templates = (await client.listResourceTemplates()).resourceTemplates;
    assert.deepEqual(templates.map(({ uriTemplate }) => uriTemplate), ["note://tickets/{id}"]);
    assert.equal((await client.readResource({ uri: "note://tickets/7" })).contents[0].text, "Ticket 7: the printer is on fire.");
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
  [`${server} beside tools`, () => besideTools(`/mcp/${server}`, "")],
  [`${server} beside tools, among all`, () => besideTools("/mcp", `${server}__`)],
]);
await run("mcp_sessions.mjs", GATEWAY ? [...checks, ["progress arrives", progress]] : []);
