// The same real servers as in mcp_federation.py with the official clients for JavaScript: the one of the revisions with
// sessions, and the one of 2026-07-28 in each of its ways to find out what is spoken.

import assert from "node:assert/strict";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { GATEWAY, key, run } from "./harness.mjs";

const text = ({ content, isError }) => [content[0].text, Boolean(isError)];
const info = { name: "check", version: "1" };
const clients = {
  "the sdk of sessions": () => [new Client(info), StreamableHTTPClientTransport],
  "the client by itself": () => [new ModernClient(info), ModernTransport],
  "the client that asks first": () => [new ModernClient(info, { versionNegotiation: { mode: "auto" } }), ModernTransport],
  "the client of 2026-07-28": () => [new ModernClient(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } }), ModernTransport],
};

async function connected(make, check) {
  const [client, Transport] = make();
  const headers = { Authorization: `Bearer ${key("federation")}` };
  await client.connect(new Transport(new URL(`${GATEWAY}/mcp`), { requestInit: { headers } }));
  try {
    await check(client);
  } finally {
    await client.close();
  }
}

const told = (make) => connected(make, async (client) => {
  const call = (name, args, ...more) => client.callTool({ name, arguments: args }, ...more);
  const names = (await client.listTools()).tools.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted());
  for (const name of ["every__echo", "notes__add_note", "sums__add"]) assert.ok(names.includes(name), name);
  assert.ok(!names.includes("every__get-env"));
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual(text(await call("every__echo", { message: "grüezi" })), ["Echo: grüezi", false]);
    assert.deepEqual(text(await call("notes__add_note", { text: "x", author: "ada" })), ["ada: x", false]);
    assert.deepEqual(text(await call("sums__add", { a: 1, b: 2 })), ["3", false]);
    assert.deepEqual(text(await call("sums__convert", { amount: 7, currency: "¥" })), ["7 ¥", false]);
    assert.deepEqual(text(await call("sums__divide", { a: 1, b: 0 })), ["Denied: Nobody divides by zero.", true]);
    await assert.rejects(call("every__get-env", {}), { code: -32602, message: /Unknown tool: every__get-env$/ });
  }
});

const progress = (make) => connected(make, async (client) => {
  const steps = [];
  const options = { onprogress: ({ progress: done, total }) => steps.push([done, total]) };
  const name = "every__trigger-long-running-operation";
  const more = client instanceof Client ? [undefined, options] : [options];
  const result = await client.callTool({ name, arguments: { duration: 0.1, steps: 3 } }, ...more);
  assert.equal(Boolean(result.isError), false);
  assert.deepEqual(steps, [[1, 3], [2, 3], [3, 3]]);
});

const checks = Object.entries(clients).flatMap(([name, make]) => [
  [`calls of ${name}`, () => told(make)],
  [`progress for ${name}`, () => progress(make)],
]);
await run("mcp_federation.mjs", GATEWAY ? checks : []);
