// The client of the suite's client scenarios: a gateway before the scenario's server, and an official SDK before the
// gateway, which does all that the server offers. What the server sees of the protocol is the gateway's doing.
// node leg.mjs HERE URL
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { gateway, stop } from "./gateway.mjs";

const [here, url] = process.argv.slice(2);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
// These look at what only a client of 2026-07-28 can bring.
const modern = ["sep-2322-client-request-state", "request-metadata"].includes(scenario);

const answers = {
  elicitation: { action: "accept", content: { confirmed: true } },
  sampling: { role: "assistant", content: { type: "text", text: "Hello." }, model: "none", stopReason: "endTurn" },
  roots: { roots: [] },
};

function connection() {
  const info = { name: "leg", version: "1" };
  const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
  if (modern) {
    const client = new ModernClient(info, { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } });
    client.setRequestHandler("elicitation/create", () => answers.elicitation);
    client.setRequestHandler("sampling/createMessage", () => answers.sampling);
    client.setRequestHandler("roots/list", () => answers.roots);
    return [client, ModernTransport];
  }
  const client = new Client(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, () => answers.elicitation);
  client.setRequestHandler(CreateMessageRequestSchema, () => answers.sampling);
  client.setRequestHandler(ListRootsRequestSchema, () => answers.roots);
  return [client, StreamableHTTPClientTransport];
}

const examples = { string: "x", integer: 1, number: 1, boolean: true, array: [], object: {}, null: null };
const given = ({ properties = {} }) =>
  Object.fromEntries(Object.entries(properties).map(([name, { type }]) => [name, examples[type] ?? "x"]));

/** Not everything is offered by each server. */
const attempt = (what) => what().catch((error) => console.error(`${scenario}: ${error.message}`));

const { address, key } = await gateway(here, [["scenario", url]]);
const [client, Transport] = connection();
const headers = { Authorization: `Bearer ${key}` };
await client.connect(new Transport(new URL(`${address}/mcp/scenario`), { requestInit: { headers } }));
await attempt(async () => {
  const { tools } = await client.listTools();
  const calls = context.toolCalls ?? tools.map((tool) => ({ name: tool.name, arguments: given(tool.inputSchema) }));
  for (const call of calls) await attempt(() => client.callTool(call));
});
const capabilities = client.getServerCapabilities() ?? {};
if (capabilities.prompts) {
  await attempt(async () => {
    for (const { name } of (await client.listPrompts()).prompts) await attempt(() => client.getPrompt({ name }));
  });
}
if (capabilities.resources) {
  await attempt(async () => {
    for (const { uri } of (await client.listResources()).resources) await attempt(() => client.readResource({ uri }));
  });
}
await client.close();
stop();
process.exit(0);
