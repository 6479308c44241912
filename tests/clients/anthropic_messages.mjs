// Messages with the official Anthropic SDK for JavaScript. The table is answers.json; what needs code is here, and is the
// same as in anthropic_messages.py.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { answer, cases, plain as without } from "./answers.mjs";
import { GATEWAY, HIDDEN, MOCK, TARGET, bodies, forget, key, run, seen, until } from "./harness.mjs";

const client = (tenant, retries = 0, more = {}) =>
  new Anthropic({ baseURL: TARGET, apiKey: key(tenant), maxRetries: retries, timeout: 20000, ...more });
const plain = (value) => without(JSON.parse(JSON.stringify(value)), "parsed_output", "_request_id");
const tool = (name) => ({ name, description: name, input_schema: { type: "object", properties: {} } });
const result = (call, content = "sunny") => ({ type: "tool_result", tool_use_id: call.id, content });
const count = (sdk, model, more = {}) => sdk.messages.countTokens({ model, messages: [{ role: "user", content: "four bytes a token" }], ...more });

/** The error that `ask` throws, in Anthropic's shape. */
async function refused(status, kind, ask) {
  const [got, error] = await ask().then((got) => [got, null], (error) => [null, error]);
  assert.ok(error, `answered, not refused: ${JSON.stringify(got)?.slice(0, 300)}`);
  assert.ok(error instanceof Anthropic.APIError, `${error}`);
  assert.deepEqual([error.status, error.error?.type, error.error?.error?.type], [status, "error", kind], `status and types of ${error}`);
  assert.ok(error.error.error.message && error.requestID, "no message, or no request-id");
  return error;
}

/** The message of a stream, read as the SDKs do, but for that nothing may stand where it does not belong. */
function putTogether(events) {
  const kinds = events.map(({ type }) => type);
  assert.deepEqual([kinds[0], ...kinds.slice(-2)], ["message_start", "message_delta", "message_stop"], "the first event and the last two");
  const blocks = [];
  for (const { type, index, content_block: block, delta } of events.slice(1, -2)) {
    if (type === "content_block_start") {
      assert.equal(index, blocks.length, "the index of a new block");
      blocks.push({ block: { ...block }, input: "", open: true });
      continue;
    }
    const known = blocks[index];
    assert.ok(known?.open, `${type} after the end of its block`);
    if (type === "content_block_stop") {
      known.open = false;
      if (known.input) known.block.input = JSON.parse(known.input);
      continue;
    }
    assert.equal(type, "content_block_delta", "an event about a block");
    for (const [name, more] of Object.entries(delta)) {
      if (name === "partial_json") known.input += more;
      else if (name !== "type") known.block[name] = (known.block[name] ?? "") + more;
    }
  }
  assert.ok(!blocks.some(({ open }) => open), "a block without an end");
  const { message } = events[0];
  const { delta, usage } = events.at(-2);
  return { ...message, ...delta, usage: { ...message.usage, ...usage }, content: blocks.map(({ block }) => block) };
}

const Messages = {
  name: "messages",
  error: Anthropic.APIError,
  clients: Object.fromEntries(["acme", "globex", "bare", "expired", "unknown"].map((tenant) => [tenant, client(tenant)])),
  direct: new Anthropic({ baseURL: MOCK, apiKey: "none", maxRetries: 0 }),
  body(lines, tenant = "acme", offer = [], more = {}) {
    const messages = [{ role: "user", content: lines.join("\n") }];
    return { model: "claude-raw", max_tokens: 1000, messages, ...(offer.length ? { tools: offer.map(tool) } : {}), ...more };
  },
  read: ({ content, stop_reason: end, usage }, read) => answer(content, end, usage, read),
  async whole(sdk, body) {
    const message = plain(await sdk.messages.create(body));
    return Messages.read(message, message);
  },
  async helped(sdk, body) {
    const stream = sdk.messages.stream(body);
    const events = [];
    for await (const event of stream) events.push(plain(event));
    const message = plain(await stream.finalMessage());
    return Messages.read(message, [...events, message]);
  },
  async byHand(sdk, body) {
    const events = [];
    for await (const event of await sdk.messages.create({ ...body, stream: true })) events.push(plain(event));
    return Messages.read(putTogether(events), events);
  },
  /** The bytes of the stream, as text. */
  async raw(sdk, body, broken = false) {
    const response = await sdk.messages.create({ ...body, stream: true }).asResponse();
    let text = "";
    const decoder = new TextDecoder();
    try {
      for await (const bytes of response.body) text += decoder.decode(bytes, { stream: true });
    } catch {
      assert.ok(broken, "the stream broke off");
    }
    return text;
  },
  isCall: ({ type }) => type.endsWith("tool_use"),
  ids: ({ id }) => [id],
  arguments: ({ input }) => input,
  withoutArguments: (part) => ({ ...part, input: null }),
  notice: ({ type, text }) => (type === "text" ? text : null),
  /** With calls left, what the model said or that there are calls; without, that the turn is over. */
  ends: (end, kept) => (kept.some(({ type }) => type === "tool_use") ? [end, "tool_use"] : ["end_turn"]),
  refused: (status, ask) =>
    refused(status, { 401: "authentication_error", 403: "permission_error", 404: "not_found_error" }[status], ask),
};

const { acme: ACME, bare: BARE } = Messages.clients;
const body = (lines, { offer, ...more } = {}) => Messages.body([lines].flat(), "acme", offer, more);
const create = (sdk, lines, more = {}, options = {}) => sdk.messages.create(body(lines, more), options);

// ------------------------------------------------------------------ what needs code

const ANYWHERE = {
  async "usage is the mock's"() {
    const { usage } = await create(ACME, "!usage 1000 200 300 50");
    assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens], [700, 200, 300]);
    assert.equal((await count(ACME, "claude-raw")).input_tokens, 5, "counted tokens");
  },
  async "an agent comes to an end"() {
    for (const ask of [(request) => ACME.messages.create(request), (request) => ACME.messages.stream(request).finalMessage()]) {
      const messages = [{ role: "user", content: "Use ok_a and no_b.\n!call ok_a {}\n!call no_b {}\n!reasoning hm" }];
      const ran = [];
      let message;
      for (let turn = 0; turn < 4; turn += 1) {
        message = await ask({ model: "claude-raw", max_tokens: 100, messages, tools: [tool("ok_a"), tool("no_b")] });
        messages.push({ role: "assistant", content: plain(message.content) });
        if (message.stop_reason !== "tool_use") break;
        const calls = message.content.filter(({ type }) => type === "tool_use");
        ran.push(...calls.map(({ name }) => name));
        messages.push({ role: "user", content: calls.map((call) => result(call)) });
      }
      const expected = GATEWAY ? ["ok_a"] : ["ok_a", "no_b"];
      assert.deepEqual([ran, message.content[0].text], [expected, "The tool answered: sunny"], "what ran, and the last word");
    }
  },
  async "leaving closes the upstream"() {
    for (const lines of [["!say one two three", "!stall 4"], ['!call ok_a {"a":1}', "!stall 4"]]) {
      await forget();
      const stream = await create(ACME, lines, { stream: true });
      await stream[Symbol.asyncIterator]().next();
      stream.controller.abort();
      const left = async () => (await seen()).map(({ outcome }) => outcome).join() === "client_gone";
      await until(left, 2, "the upstream is left");
    }
  },
};

const GATEWAY_ONLY = {
  async "offered tools that are denied never arrive"() {
    await forget();
    await create(ACME, "hello", { offer: ["no_a", "ok_b", "delete_c", "transfer"] });
    await create(ACME, "hello", { offer: ["no_a"], tool_choice: { type: "auto", disable_parallel_tool_use: true } });
    await create(ACME, "hello", { tools: [{ type: "bash_20250124", name: "bash" }, tool("ok_b")] });
    const [some, none, typed] = await bodies();
    assert.deepEqual(some.tools.map(({ name }) => name), ["ok_b", "transfer"]);
    for (const left of ["tools", "tool_choice"]) assert.ok(!(left in none), `${left} is left over`);
    assert.deepEqual(typed.tools.map(({ name }) => name), ["ok_b"], "beside a tool that Anthropic defined");
    await forget();
    await count(ACME, "claude-raw", { tools: [tool("no_a"), tool("ok_b")] });
    assert.deepEqual((await bodies())[0].tools.map(({ name }) => name), ["ok_b"], "tools that are counted");
  },
  async "hosted tools are offered by rule"() {
    const arrived = async (sdk, key, more, options) => {
      await forget();
      await create(sdk, "hello", more, options);
      return (await bodies())[0][key] ?? [];
    };
    const web = { type: "web_search_20250305", name: "web_search", max_uses: 3 };
    const code = { type: "code_execution_20250522", name: "code_execution" };
    const tools = [web, code, tool("ok_a")];
    assert.deepEqual(await arrived(ACME, "tools", { tools }), [web, tool("ok_a")], "what acme may offer");
    assert.deepEqual(await arrived(BARE, "tools", { tools }), [], "what bare may offer");
    const ours = { type: "url", name: "a", url: "https://mcp.acme.example/x" };
    const theirs = { type: "url", name: "b", url: "https://evil.example/" };
    const servers = [{ mcp_servers: [ours, theirs] }, { headers: { "anthropic-beta": "mcp-client-2025-04-04" } }];
    assert.deepEqual(await arrived(ACME, "mcp_servers", ...servers), [ours], "acme's servers");
    assert.deepEqual(await arrived(BARE, "mcp_servers", ...servers), [], "bare's servers");
    const { content } = await create(ACME, "!hosted web_search", { tools: [web] });
    assert.deepEqual(content.map(({ type }) => type), ["server_tool_use", "web_search_tool_result"], "what the provider ran");
  },
  async "a forced tool that is denied is refused once"() {
    let attempts = 0;
    const counting = (...request) => { attempts += 1; return fetch(...request); };
    const eager = client("acme", 2, { fetch: counting });
    await forget();
    for (const stream of [false, true]) {
      const tool_choice = { type: "tool", name: "no_a" };
      const error = await refused(403, "permission_error", () => create(eager, "hello", { offer: ["no_a", "ok_b"], tool_choice, stream }));
      assert.equal(error.headers.get("x-should-retry"), "false");
    }
    assert.deepEqual([attempts, (await seen()).length], [2, 0], "attempts, and hits upstream");
  },
  async "a result for a denied call is refused"() {
    const { content } = await create(Messages.direct, [`!call no_a {"v":"${HIDDEN}"}`, "!call ok_a {}"]);
    const messages = [
      { role: "user", content: "hi" },
      { role: "assistant", content: plain(content) },
      { role: "user", content: content.map((call) => result(call)) },
    ];
    const error = await refused(403, "permission_error", () => create(ACME, "", { messages }));
    assert.ok(!JSON.stringify(error.error).includes(HIDDEN), "arguments in the error");
  },
  async "a model that is not the tenant's does not exist"() {
    await forget();
    for (const ask of [
      (model) => create(ACME, "hello", { model }),
      (model) => create(ACME, "hello", { model, stream: true }),
      (model) => count(ACME, model),
    ]) {
      const told = [];
      for (const model of ["secret-model", "absent-model"]) {
        const error = await refused(404, "not_found_error", () => ask(model));
        told.push(error.error.error.message.replaceAll(model, "NAME"));
      }
      assert.equal(told[0], told[1], "the two answers");
    }
    assert.deepEqual(await seen(), [], "what reached the upstream");
  },
  async "credentials are one answer"() {
    await forget();
    const told = [];
    for (const tenant of ["unknown", "expired"]) {
      told.push((await refused(401, "authentication_error", () => create(Messages.clients[tenant], "hello"))).error.error);
    }
    assert.deepEqual(told[0], told[1], "the two answers");
    assert.deepEqual(await seen(), [], "what reached the upstream");
    const bearer = new Anthropic({ baseURL: TARGET, apiKey: null, authToken: key("acme"), maxRetries: 0 });
    assert.equal((await create(bearer, "!say Hi.")).content[0].text, "Hi.", "with a bearer token");
  },
  async "credentials stay on their side"() {
    await forget();
    const { response } = await ACME.messages.create(body(["hello", "!headers"])).withResponse();
    for (const name of ["anthropic-organization-id", "set-cookie", "anthropic-ratelimit-tokens-limit"]) {
      assert.ok(!response.headers.has(name), `the provider's ${name} came through`);
    }
    const hit = (await seen()).at(-1);
    assert.ok(!JSON.stringify(hit).includes(key("acme")), "the tenant's key reached the upstream");
    assert.ok(hit.headers.some(([name]) => name === "anthropic-version"), "anthropic-version did not");
  },
  async "failures upstream are told in our words"() {
    for (const [status, told] of [[503, null], [529, null], [500, 502], [401, 502], [400, 400], [429, 429]]) {
      for (const stream of [false, true]) {
        const error = await create(ACME, `!status ${status}`, { stream }).then(() => null, (error) => error);
        assert.ok(error instanceof Anthropic.APIError && [null, error.status].includes(told), `${status} became ${error}`);
        assert.deepEqual([error.error.type, Object.keys(error.error.error).sort()], ["error", ["message", "type"]], "the shape of the error");
        assert.ok(!JSON.stringify(error.error).includes("sk-"), `the upstream's words came through: ${error.message}`);
        await create(ACME, "hello");
      }
    }
  },
  async "requests in parallel do not mix"() {
    await Promise.all(Array.from({ length: 16 }, async (_, number) => {
      const lines = [`!say answer ${number}`, `!call ok_a {"number":${number}}`, `!call no_b {"v":"${HIDDEN}"}`, "!delay 1ms"];
      const { parts: [text, call] } = await Messages.byHand(ACME, body(lines));
      assert.equal(text.text, `answer ${number}`);
      assert.deepEqual(call.input, { number });
    }));
  },
};

await run("anthropic_messages.mjs", [...cases(Messages), ...Object.entries({ ...ANYWHERE, ...(GATEWAY ? GATEWAY_ONLY : {}) })]);
