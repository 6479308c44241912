// The fixtures for 2026-07-28, on the official SDK 2.x: a server that needs something answers `input_required`, and the
// client asks again.
import { randomBytes } from "node:crypto";
import { createMcpHandler, createRequestStateCodec, ProtocolError, Server } from "@modelcontextprotocol/server";
import * as fixtures from "./fixtures.mjs";
import { tasked, tools as taskTools } from "./tasks.mjs";

const { form, question, said, tool } = fixtures;
const roots = { method: "roots/list", params: {} };
const requires = (inputRequests, requestState) => ({
  resultType: "input_required",
  inputRequests,
  ...(requestState === undefined ? {} : { requestState }),
});
const name = form("What is your name?", { name: { type: "string" } });
const confirm = form("Please confirm", { ok: { type: "boolean" } });

/** A tool that needs all of these answers, then says something of them. */
function needs(toolName, requests, say, { stateful = false } = {}) {
  return tool(toolName, `Needs ${Object.keys(requests).join(", ")} before it answers`, async (_, turn) => {
    const complete = Object.keys(requests).every((key) => turn.answers[key] !== undefined);
    if (complete && (!stateful || turn.state !== undefined)) return said(say(turn.answers, turn.state));
    return requires(requests, stateful ? await turn.seal({ round: 1 }) : undefined);
  });
}

const state = createRequestStateCodec({ key: randomBytes(32) });
let handler;
let extra = { tools: 0, prompts: 0 };

const own = [
  tool(
    "test_mirrored_headers",
    "Wants its arguments repeated in headers",
    (given) => said(JSON.stringify(given)),
    {
      type: "object",
      properties: {
        region: { type: "string", "x-mcp-header": "Region" },
        count: { type: "integer", "x-mcp-header": "Count" },
        dry: { type: "boolean", "x-mcp-header": "Dry-Run" },
      },
    },
  ),
  tool("test_missing_capability", "Needs a client with a model", (_, turn) => {
    if (turn.capabilities.sampling) return said("The client has a model.");
    throw new ProtocolError(-32021, "Missing required client capability", { requiredCapabilities: { sampling: {} } });
  }),
  tool("test_streaming_elicitation", "Reports progress, then needs an answer", async (_, turn) => {
    await turn.log("info", "needs an answer");
    return requires({ user_name: name });
  }),
  tool("test_logging_tool", "Logs while it runs", async (_, turn) => {
    await turn.log("info", "running");
    return said("Logged, for those who want it.");
  }),
  tool("test_trigger_tool_change", "Adds a tool to the list", () => {
    extra.tools += 1;
    handler.notify.toolsChanged();
    return said("There is one more tool.");
  }),
  tool("test_trigger_prompt_change", "Adds a prompt to the list", () => {
    extra.prompts += 1;
    handler.notify.promptsChanged();
    return said("There is one more prompt.");
  }),
  needs("test_input_required_result_elicitation", { user_name: name }, (given) => `Hello, ${given.user_name.content?.name}!`),
  needs("test_input_required_result_sampling", { capital_question: question("What is the capital of France?") }, (given) =>
    JSON.stringify(given.capital_question),
  ),
  needs("test_input_required_result_list_roots", { client_roots: roots }, (given) => JSON.stringify(given.client_roots)),
  needs("test_input_required_result_request_state", { confirm }, () => "state-ok", { stateful: true }),
  needs(
    "test_input_required_result_multiple_inputs",
    { user_name: name, greeting: question("Generate a greeting", 50), client_roots: roots },
    (given) => JSON.stringify(given),
    { stateful: true },
  ),
  needs("test_input_required_result_tampered_state", { confirm }, () => "confirmed", { stateful: true }),
  tool("test_input_required_result_multi_round", "Asks twice", async (_, turn) => {
    const { round, name: known } = turn.state ?? {};
    if (round === 1 && turn.answers.step1) {
      const next = await turn.seal({ round: 2, name: turn.answers.step1.content?.name });
      return requires({ step2: form("Step 2: What is your favorite color?", { color: { type: "string" } }) }, next);
    }
    if (round === 2 && turn.answers.step2) return said(`${known} likes ${turn.answers.step2.content?.color}.`);
    return requires({ step1: form("Step 1: What is your name?", { name: { type: "string" } }) }, await turn.seal({ round: 1 }));
  }),
  tool("test_input_required_result_capabilities", "Asks for what the client can do", (_, turn) => {
    const requests = {};
    if (turn.capabilities.sampling) requests.greeting = question("Generate a greeting");
    if (turn.capabilities.elicitation) requests.user_name = name;
    return Object.keys(requests).length > 0 ? requires(requests) : said("The client can do nothing.");
  }),
];

const tools = () => {
  const added = Array.from({ length: extra.tools }, (_, at) =>
    tool(`test_added_${at}`, "Was added while the server ran", () => said("new")),
  );
  return new Map([...fixtures.tools, ...own, ...taskTools, ...added].map((each) => [each.definition.name, each]));
};
const prompts = () => [
  ...fixtures.prompts,
  {
    definition: { name: "test_input_required_result_prompt", description: "Needs to know what it is for" },
    needs: { user_context: form("What context should the prompt use?", { context: { type: "string" } }) },
    get: (_, given) => [{ role: "user", content: fixtures.text(`Use ${given.user_context.content?.context}.`) }],
  },
  ...Array.from({ length: extra.prompts }, (_, at) => ({
    definition: { name: `test_added_${at}`, description: "Was added while the server ran" },
    get: () => [{ role: "user", content: fixtures.text("new") }],
  })),
];

const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";

function server() {
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: {},
    logging: {},
    completions: {},
    extensions: { "io.modelcontextprotocol/tasks": {} },
  };
  const server = new Server(
    { name: "fixtures-of-requests", version: "1.0.0" },
    { capabilities, requestState: { verify: state.verify } },
  );
  const on = (method, answer) => server.setRequestHandler(method, answer);
  on("tools/list", () => ({ tools: [...tools().values()].map((each) => each.definition) }));
  on("tools/call", ({ params }, { mcpReq }) => {
    const called = tools().get(params.name);
    if (!called) throw new ProtocolError(-32602, `Unknown tool: ${params.name}`);
    const progressToken = mcpReq._meta?.progressToken;
    return called.call(params.arguments ?? {}, {
      progress: async (progress, total) => {
        if (progressToken === undefined) return;
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total } });
      },
      log: mcpReq.log,
      capabilities: mcpReq.envelope?.[CAPABILITIES] ?? {},
      answers: mcpReq.inputResponses ?? {},
      state: mcpReq.requestState(),
      seal: (payload) => state.mint(payload),
    });
  });
  on("prompts/list", () => ({ prompts: prompts().map((each) => each.definition) }));
  on("prompts/get", ({ params }, { mcpReq }) => {
    const prompt = prompts().find((each) => each.definition.name === params.name);
    if (!prompt) throw new ProtocolError(-32602, `Unknown prompt: ${params.name}`);
    const given = mcpReq.inputResponses ?? {};
    if (!Object.keys(prompt.needs ?? {}).every((key) => given[key] !== undefined)) return requires(prompt.needs);
    return { messages: prompt.get(params.arguments ?? {}, given) };
  });
  on("resources/list", () => ({ resources: fixtures.resources }));
  on("resources/templates/list", () => ({ resourceTemplates: fixtures.templates }));
  on("resources/read", ({ params: { uri } }) => {
    const contents = fixtures.read(uri);
    if (!contents) throw new ProtocolError(-32602, "Resource not found", { uri });
    return { contents };
  });
  on("completion/complete", () => fixtures.completed);
  return server;
}

handler = createMcpHandler(server, { legacy: "reject" });

/** Answers one HTTP request; `body` is its parsed JSON. */
export async function stateless(request, response, body) {
  const own = tasked(body, request.headers);
  if (own) {
    response.writeHead(own.status, { "content-type": "application/json" });
    response.end(JSON.stringify(own.message));
    return;
  }
  const left = new AbortController();
  response.on("close", () => left.abort());
  const answer = await handler.fetch(
    new Request(`http://${request.headers.host}${request.url}`, {
      method: request.method,
      headers: request.headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: left.signal,
    }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (!answer.body) return response.end();
  response.flushHeaders();
  try {
    for await (const chunk of answer.body) response.write(chunk);
  } catch {
    // The client left.
  }
  response.end();
}
