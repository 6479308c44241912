// The fixtures for revisions with sessions, on the official SDK 1.x: a server asks its client by requests of its own.
import { randomUUID } from "node:crypto";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  isInitializeRequest,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import * as fixtures from "./fixtures.mjs";

const { form, pause, question, said, tool } = fixtures;
const of = (properties, required) => ({ type: "object", properties, required });

async function asks(message, properties, turn) {
  const request = form(message, properties);
  delete request.params.requestedSchema.required;
  const answer = await turn.ask(request, ElicitResultSchema);
  return said(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

const titled = (...values) => values.map(([value, title]) => ({ const: value, title }));

const own = [
  tool("test_tool_with_logging", "Logs while it runs", async (_, turn) => {
    for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await turn.log("info", line);
      await pause(20);
    }
    return said("Logged.");
  }),
  tool(
    "test_sampling",
    "Asks the client's model",
    async ({ prompt }, turn) => {
      const answer = await turn.ask(question(prompt), CreateMessageResultSchema);
      return said(`LLM response: ${answer.content.text}`);
    },
    of({ prompt: { type: "string" } }, ["prompt"]),
  ),
  tool(
    "test_elicitation",
    "Asks the client's user",
    ({ message }, turn) => {
      const field = (description) => ({ type: "string", description });
      return asks(message, { username: field("The user's name"), email: field("The user's address") }, turn);
    },
    of({ message: { type: "string" } }, ["message"]),
  ),
  tool("test_elicitation_sep1034_defaults", "Asks with a default of each kind", (_, turn) => {
    const properties = {
      name: { type: "string", default: "John Doe" },
      age: { type: "integer", default: 30 },
      score: { type: "number", default: 95.5 },
      status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean", default: true },
    };
    return asks("Please check what is known of you", properties, turn);
  }),
  tool("test_elicitation_sep1330_enums", "Asks with a choice of each kind", (_, turn) => {
    const options = ["option1", "option2", "option3"];
    const properties = {
      untitledSingle: { type: "string", enum: options },
      titledSingle: { type: "string", oneOf: titled(["value1", "First"], ["value2", "Second"]) },
      legacyEnum: { type: "string", enum: ["opt1", "opt2"], enumNames: ["One", "Two"] },
      untitledMulti: { type: "array", items: { type: "string", enum: options } },
      titledMulti: { type: "array", items: { anyOf: titled(["value1", "First"], ["value2", "Second"]) } },
    };
    return asks("Please choose", properties, turn);
  }),
  tool("test_reconnection", "Closes its stream before it answers", async (_, turn) => {
    await pause(50);
    turn.closeStream();
    await pause(100);
    return said("Answered after the client came back.");
  }),
];
const tools = new Map([...fixtures.tools, ...own].map((each) => [each.definition.name, each]));

function server() {
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    logging: {},
    completions: {},
  };
  const server = new Server({ name: "fixtures-of-sessions", version: "1.0.0" }, { capabilities });
  const on = (schema, answer) => server.setRequestHandler(schema, answer);
  on(ListToolsRequestSchema, () => ({ tools: [...tools.values()].map((each) => each.definition) }));
  on(CallToolRequestSchema, ({ params }, extra) => {
    const called = tools.get(params.name);
    if (!called) throw new McpError(-32602, `Unknown tool: ${params.name}`);
    const { progressToken } = params._meta ?? {};
    const turn = {
      progress: async (progress, total) => {
        if (progressToken === undefined) return;
        await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress, total } });
      },
      log: (level, data) => extra.sendNotification({ method: "notifications/message", params: { level, data } }),
      ask: (request, schema) => extra.sendRequest(request, schema),
      closeStream: () => extra.closeSSEStream?.(),
    };
    return called.call(params.arguments ?? {}, turn);
  });
  on(ListPromptsRequestSchema, () => ({ prompts: fixtures.prompts.map((each) => each.definition) }));
  on(GetPromptRequestSchema, ({ params }) => {
    const prompt = fixtures.prompts.find((each) => each.definition.name === params.name);
    if (!prompt) throw new McpError(-32602, `Unknown prompt: ${params.name}`);
    return { messages: prompt.get(params.arguments ?? {}) };
  });
  on(ListResourcesRequestSchema, () => ({ resources: fixtures.resources }));
  on(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: fixtures.templates }));
  on(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const contents = fixtures.read(uri);
    if (!contents) throw new McpError(-32002, "Resource not found", { uri });
    return { contents };
  });
  on(SubscribeRequestSchema, () => ({}));
  on(UnsubscribeRequestSchema, () => ({}));
  on(CompleteRequestSchema, () => fixtures.completed);
  return server;
}

/** The events of one session, so that a stream can be taken up again. */
class Events {
  #events = [];

  async storeEvent(stream, message) {
    this.#events.push({ stream, message });
    return String(this.#events.length - 1);
  }

  async getStreamIdForEventId(id) {
    return this.#events[Number(id)]?.stream;
  }

  async replayEventsAfter(id, { send }) {
    const stream = this.#events[Number(id)]?.stream;
    for (const [at, event] of this.#events.entries()) {
      if (at > Number(id) && event.stream === stream) await send(String(at), event.message);
    }
    return stream;
  }
}

const sessions = new Map();

/** Answers one HTTP request; `body` is its parsed JSON. */
export async function sessionful(request, response, body) {
  let transport = sessions.get(request.headers["mcp-session-id"]);
  if (!transport && request.method === "POST" && isInitializeRequest(body)) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new Events(),
      retryInterval: 50,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    await server().connect(transport);
  }
  if (!transport) {
    const status = request.headers["mcp-session-id"] ? 404 : 400;
    response.writeHead(status, { "content-type": "application/json" });
    response.end('{"jsonrpc":"2.0","error":{"code":-32600,"message":"No such session"}}');
    return;
  }
  await transport.handleRequest(request, response, body);
}
