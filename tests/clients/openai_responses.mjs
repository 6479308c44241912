// Responses with the official OpenAI SDK for JavaScript. The table is answers.json; what needs code is here, and is the
// same as in openai_responses.py.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { answer, cases, plain as without } from "./answers.mjs";
import { GATEWAY, HIDDEN, MOCK, TARGET, bodies, forget, key, run, seen, until } from "./harness.mjs";

const client = (tenant, retries = 0, more = {}) =>
  new OpenAI({ baseURL: `${TARGET}/v1`, apiKey: key(tenant), maxRetries: retries, timeout: 20000, ...more });
const plain = (value) => without(JSON.parse(JSON.stringify(value)), "parsed", "parsed_arguments", "output_text", "output_parsed", "_request_id");
const fn = (name) => ({
  type: "function", name, strict: true, parameters: { type: "object", properties: {}, required: [], additionalProperties: false },
});
const output = (call, text = "sunny") => ({
  type: call.type === "custom_tool_call" ? "custom_tool_call_output" : "function_call_output", call_id: call.call_id, output: text,
});

/** The error that `ask` throws, in OpenAI's shape, and not worth a retry. */
async function refused(status, code, ask) {
  const [got, error] = await ask().then((got) => [got, null], (error) => [null, error]);
  assert.ok(error, `answered, not refused: ${JSON.stringify(got)?.slice(0, 300)}`);
  assert.ok(error instanceof OpenAI.APIError, `${error}`);
  assert.deepEqual([error.status, error.code], [status, code], `status and code of '${error.message}'`);
  assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"], "the fields of the error");
  assert.ok(error.requestID, "x-request-id is missing");
  return error;
}

/** The items of a stream; what was streamed of each must be what it is in the end. */
function putTogether(events) {
  const items = [];
  for (const event of events) {
    const kind = event.type.replace("response.", "");
    if (kind === "output_item.added") {
      assert.equal(event.output_index, items.length, "the index of a new item");
      items.push({ id: event.item.id, kind: event.item.type, said: "", whole: [], item: null });
    } else if ("output_index" in event) {
      const known = items[event.output_index];
      assert.equal(known.item, null, `${kind} after the item was done`);
      assert.equal(event.item_id ?? known.id, known.id, `the item of ${kind}`);
      if (kind.endsWith(".delta")) known.said += event.delta;
      else if (kind === "output_item.done") {
        known.item = event.item;
        assert.deepEqual([event.item.id, event.item.type], [known.id, known.kind], "the item that is done");
      } else if (kind.endsWith(".done")) {
        known.whole.push(...["text", "refusal", "arguments", "input"].flatMap((name) => (name in event ? [event[name]] : [])));
      }
    }
  }
  return items.map(({ id, kind, said, whole, item }) => {
    assert.ok(item, `an item that was never done: ${id}`);
    const [part] = [...(item.content ?? []), ...(item.summary ?? [])];
    const last = part ? part.text ?? part.refusal : item.arguments ?? item.input;
    for (const copy of said ? [said, ...whole] : whole) assert.equal(copy, last, `what was streamed of a ${kind}`);
    return item;
  });
}

const Responses = {
  name: "responses",
  error: OpenAI.APIError,
  clients: Object.fromEntries(["acme", "globex", "bare", "expired", "unknown"].map((tenant) => [tenant, client(tenant)])),
  direct: new OpenAI({ baseURL: `${MOCK}/v1`, apiKey: "none", maxRetries: 0 }),
  body(lines, tenant = "acme", offer = [], more = {}) {
    const tools = offer.map((name) => (lines.includes("!custom") ? { type: "custom", name } : fn(name)));
    return { model: tenant === "globex" ? "gpt-4o" : "gpt-5", input: lines.join("\n"), ...(tools.length ? { tools } : {}), ...more };
  },
  read({ status, incomplete_details: details = null, output: items, usage }, read) {
    return answer(items, [status, details], usage, read);
  },
  async whole(sdk, body) {
    const response = plain(await sdk.responses.create(body));
    return Responses.read(response, response);
  },
  async helped(sdk, body) {
    const stream = sdk.responses.stream(body);
    const events = [];
    for await (const event of stream) events.push(plain(event));
    const response = plain(await stream.finalResponse());
    return Responses.read(response, [...events, response]);
  },
  async byHand(sdk, body) {
    const events = [];
    for await (const event of await sdk.responses.create({ ...body, stream: true })) events.push(plain(event));
    assert.deepEqual(events.slice(0, 2).map(({ type }) => type), ["response.created", "response.in_progress"], "the first events");
    events.reduce((before, { sequence_number: number }) => {
      assert.ok(before < number, `${number} after ${before}`);
      return number;
    }, -1);
    const ends = events.filter(({ type }) => /^response\.(completed|incomplete|failed)$/.test(type));
    assert.deepEqual(ends, events.slice(-1), "the one event that ends it");
    const items = putTogether(events);
    if (!/!completed-(only|differs)/.test(body.input)) assert.deepEqual(ends[0].response.output, items, "the output of the last event");
    return Responses.read(ends[0].response, events);
  },
  /** The bytes of the stream, as text. */
  async raw(sdk, body, broken = false) {
    const response = await sdk.responses.create({ ...body, stream: true }).asResponse();
    let text = "";
    const decoder = new TextDecoder();
    try {
      for await (const bytes of response.body) text += decoder.decode(bytes, { stream: true });
    } catch {
      assert.ok(broken, "the stream broke off");
    }
    return text;
  },
  isCall: ({ type }) => type.endsWith("_call") || type === "mcp_approval_request",
  ids: ({ id, call_id: call }) => [id, call].filter(Boolean),
  arguments: (part) => JSON.parse(part.arguments),
  withoutArguments: (part) => ({ ...part, arguments: null }),
  notice({ type, role, status, id, content }) {
    const whole = type === "message" && role === "assistant" && status === "completed" && id && content.length === 1;
    return whole && content[0].type === "output_text" ? content[0].text : null;
  },
  ends: (end) => [end],
  refused: (status, ask) => refused(status, { 401: "invalid_api_key", 403: "tool_not_allowed", 404: "model_not_found" }[status], ask),
};

const { acme: ACME, globex: GLOBEX } = Responses.clients;
const body = (lines, more = {}) => Responses.body([lines].flat(), "acme", more.offer, (({ offer, ...rest }) => rest)(more));
const create = (sdk, lines, more = {}) => sdk.responses.create(body(lines, { ...(sdk === GLOBEX ? { model: "gpt-4o" } : {}), ...more }));
const final = (sdk, body) => sdk.responses.stream(body).finalResponse();

// ------------------------------------------------------------------ what needs code

const ANYWHERE = {
  async "usage is the mock's"() {
    const { usage } = await create(ACME, "!usage 1000 200 300 50");
    assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.total_tokens], [1000, 200, 1200]);
    assert.deepEqual([usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens], [300, 50]);
  },
  async "stored responses can be asked for"() {
    const made = await create(ACME, "!say Hi.");
    assert.deepEqual(plain(await ACME.responses.retrieve(made.id)), plain(made));
    assert.equal((await ACME.responses.inputItems.list(made.id)).data[0].content[0].text, "!say Hi.");
    assert.equal((await create(ACME, "hello", { previous_response_id: made.id })).previous_response_id, made.id);
    await ACME.responses.cancel(made.id);
    await ACME.responses.delete(made.id);
    await assert.rejects(() => ACME.responses.retrieve(made.id), OpenAI.NotFoundError);
  },
  async "an agent comes to an end"() {
    for (const ask of [(request) => ACME.responses.create(request), (request) => final(ACME, request)]) {
      const input = [{ role: "user", content: "Use ok_a and no_b.\n!call ok_a {}\n!call no_b {}" }];
      const ran = [];
      let response;
      for (let turn = 0; turn < 4; turn += 1) {
        response = await ask({ model: "gpt-5", input, tools: [fn("ok_a"), fn("no_b")], store: false });
        input.push(...plain(response.output));
        const calls = response.output.filter(({ type }) => type === "function_call");
        if (!calls.length) break;
        ran.push(...calls.map(({ name }) => name));
        input.push(...calls.map((call) => output(call)));
      }
      const expected = GATEWAY ? ["ok_a"] : ["ok_a", "no_b"];
      assert.deepEqual([ran, response.output_text], [expected, "The tool answered: sunny"], "what ran, and the last word");
    }
  },
  async "leaving closes the upstream"() {
    for (const lines of [["!say one two three", "!stall 6"], ['!call ok_a {"a":1}', "!stall 4"]]) {
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
  async "a denied call leaves no debt"() {
    const lines = ['!call ok_a {"v": 1}', `!call no_b {"v": "${HIDDEN}"}`];
    for (const more of [[], ["!custom"], ["!done-only"]]) {
      for (const made of [await create(ACME, [...lines, ...more]), await final(ACME, body([...lines, ...more]))]) {
        const [call, ...others] = made.output.filter(({ type }) => type !== "message");
        assert.deepEqual(others, []);
        await forget();
        const told = await create(ACME, "", { previous_response_id: made.id, input: [output(call)] });
        assert.ok(told.output_text.includes("The tool answered: "), told.output_text);
        const [sent] = await bodies();
        assert.deepEqual(sent.input.map(({ type }) => type), [output(call).type, output(call).type], "the outputs that were sent");
        assert.ok(!JSON.stringify(sent).includes(HIDDEN), "arguments of the denied call went up");
      }
    }
    for (const all of [["!call no_b {}"], ["!item shell_call", "!item computer_call", "!item apply_patch_call"]]) {
      for (const made of [await create(ACME, all), await final(ACME, body(all))]) {
        assert.ok((await create(ACME, "hello", { previous_response_id: made.id })).output_text, "all calls denied, then text");
      }
    }
  },
  async "what is retrieved is what was answered"() {
    const made = await create(ACME, ["!say Well.", '!call ok_a {"v": 1}', `!call no_b {"v": "${HIDDEN}"}`, '!call kb_search {"q": "x"}']);
    for (const ask of [() => ACME.responses.retrieve(made.id), () => ACME.responses.cancel(made.id)]) {
      const told = plain(await ask());
      assert.ok(!JSON.stringify(told).includes(HIDDEN), "arguments of a denied call were kept for later");
      assert.deepEqual(told.output.map(({ type }) => type), made.output.map(({ type }) => type));
      assert.deepEqual(JSON.parse(told.output[3].arguments), { q: "x", filter: { tenant: "acme" } });
    }
  },
  async "another tenant's response does not exist"() {
    const made = await create(ACME, "!say Mine.");
    for (const ask of [
      (id) => GLOBEX.responses.retrieve(id),
      (id) => GLOBEX.responses.delete(id),
      (id) => GLOBEX.responses.cancel(id),
      (id) => GLOBEX.responses.inputItems.list(id),
      (id) => create(GLOBEX, "hello", { previous_response_id: id }),
    ]) {
      const told = [];
      for (const id of [made.id, `${made.id.slice(0, -4)}XXXX`]) {
        const error = await ask(id).then(() => null, (error) => error);
        assert.ok([400, 404].includes(error?.status), `${ask} was answered, or with ${error}`);
        told.push([error.status, JSON.stringify(error.error).replaceAll(id, "ID")]);
      }
      assert.deepEqual(told[0], told[1], `the two answers to ${ask}`);
    }
    assert.equal((await ACME.responses.retrieve(made.id)).output_text, "Mine.", "what its owner gets afterwards");
    const input = [{ type: "item_reference", id: made.output[0].id }, { role: "user", content: "hi" }];
    assert.ok((await create(ACME, "", { input })).output_text, "its owner may name an item");
    await refused(400, "invalid_request", () => create(GLOBEX, "", { input }));
  },
  async "what cannot be checked is refused"() {
    await forget();
    for (const more of [{ background: true }, { prompt: { id: "pmpt_1" } }, { conversation: "conv_1" }]) {
      for (const stream of [false, true]) {
        const error = await refused(400, "invalid_request", () => create(ACME, "hello", { ...more, stream }));
        assert.ok(`${error.message}${error.param}`.includes(Object.keys(more)[0]), error.message);
      }
    }
    assert.deepEqual(await seen(), [], "what reached the upstream");
  },
  async "offered tools that are denied never arrive"() {
    await forget();
    await create(ACME, "hello", { offer: ["no_a", "ok_b", "delete_c", "transfer"], parallel_tool_calls: false });
    await create(ACME, "hello", { offer: ["no_a"], tool_choice: "auto", parallel_tool_calls: false });
    await create(ACME, "hello", { tools: [{ type: "custom", name: "no_a" }, { type: "custom", name: "ok_b" }] });
    const [some, none, custom] = await bodies();
    assert.deepEqual(some.tools.map(({ name }) => name), ["ok_b", "transfer"]);
    for (const left of ["tools", "tool_choice", "parallel_tool_calls"]) assert.ok(!(left in none), `${left} is left over`);
    assert.deepEqual(custom.tools.map(({ name }) => name), ["ok_b"]);
  },
  async "hosted tools are offered by rule"() {
    const arrived = async (sdk, ...tools) => {
      await forget();
      await create(sdk, "hello", { tools });
      return (await bodies())[0].tools ?? [];
    };
    const web = { type: "web_search" };
    const code = { type: "code_interpreter", container: { type: "auto" } };
    const files = { type: "file_search", vector_store_ids: ["vs_acme_1", "vs_acme_2"] };
    const foreign = { type: "file_search", vector_store_ids: ["vs_acme_1", "vs_globex_1"] };
    const ours = { type: "mcp", server_label: "a", server_url: "https://mcp.acme.example/x" };
    const theirs = { type: "mcp", server_label: "b", server_url: "https://evil.example/" };
    assert.deepEqual(await arrived(ACME, web, code, files, foreign, ours, theirs), [web, files, ours], "what acme may offer");
    assert.deepEqual(await arrived(Responses.clients.bare, web, code, files, ours, fn("ok_a")), [], "what bare may offer");
    const made = await create(ACME, ["!hosted web_search_call", "!hosted file_search_call"], { tools: [web, files] });
    assert.deepEqual(made.output.map(({ type }) => type), ["web_search_call", "file_search_call"], "what the provider ran");
    await refused(403, "tool_not_allowed", () => create(ACME, "hello", { tools: [web, code], tool_choice: { type: "code_interpreter" } }));
  },
  async "a forced tool that is denied is refused once"() {
    let attempts = 0;
    const counting = (...request) => { attempts += 1; return fetch(...request); };
    const eager = client("acme", 2, { fetch: counting });
    await forget();
    const forced = { type: "function", name: "no_a" };
    for (const tool_choice of [forced, { type: "allowed_tools", mode: "required", tools: [forced] }]) {
      for (const stream of [false, true]) {
        const error = await refused(403, "tool_not_allowed", () => create(eager, "hello", { offer: ["no_a", "ok_b"], tool_choice, stream }));
        assert.equal(error.headers.get("x-should-retry"), "false");
      }
    }
    assert.deepEqual([attempts, (await seen()).length], [4, 0], "attempts, and hits upstream");
  },
  async "a result for a denied call is refused"() {
    const lines = [`!call no_a {"v":"${HIDDEN}"}`, "!call ok_a {}"];
    const made = await Responses.direct.responses.create(body(lines));
    const outputs = made.output.map((call) => output(call));
    const input = [{ role: "user", content: "hi" }, ...plain(made.output), ...outputs];
    await refused(403, "tool_not_allowed", () => create(ACME, "", { input }));
    const stored = await create(ACME, lines);
    await refused(403, "tool_not_allowed", () => create(ACME, "", { input: outputs, previous_response_id: stored.id }));
  },
  async "a model that is not the tenant's does not exist"() {
    await forget();
    for (const stream of [false, true]) {
      const told = [];
      for (const model of ["secret-model", "absent-model"]) {
        const error = await refused(404, "model_not_found", () => create(ACME, "hello", { model, stream }));
        told.push(JSON.stringify(error.error).replaceAll(model, "NAME"));
      }
      assert.equal(told[0], told[1], "the two answers");
    }
    assert.deepEqual(await seen(), [], "what reached the upstream");
  },
  async "credentials are one answer"() {
    await forget();
    for (const ask of [(sdk) => create(sdk, "hello"), (sdk) => sdk.responses.retrieve("resp_x")]) {
      const [unknown, expired] = await Promise.all(
        ["unknown", "expired"].map((tenant) => refused(401, "invalid_api_key", () => ask(Responses.clients[tenant]))));
      assert.deepEqual(unknown.error, expired.error);
    }
    assert.deepEqual(await seen(), [], "what reached the upstream");
  },
  async "credentials stay on their side"() {
    await forget();
    const { response } = await ACME.responses.create(body(["hello", "!headers"])).withResponse();
    for (const name of ["openai-organization", "set-cookie"]) assert.ok(!response.headers.has(name), `the provider's ${name} came through`);
    assert.ok(!["10000", null].includes(response.headers.get("x-ratelimit-limit-requests")), "x-ratelimit-limit-requests");
    assert.ok(!JSON.stringify(await seen()).includes(key("acme")), "the tenant's key reached the upstream");
  },
  async "failures upstream are told in our words"() {
    for (const [status, told, code] of [
      [503, null, "upstream_error"], [500, 502, "upstream_error"], [401, 502, "upstream_error"], [400, 400, null], [429, 429, "rate_limit_exceeded"],
    ]) {
      for (const stream of [false, true]) {
        const error = await create(ACME, `!status ${status}`, { stream }).then(() => null, (error) => error);
        assert.ok(error instanceof OpenAI.APIError && [null, error.status].includes(told), `${status} became ${error}`);
        assert.ok([null, error.code].includes(code), `${status} has code ${error.code}`);
        assert.ok(!JSON.stringify(error.error).includes("sk-"), `the upstream's words came through: ${error.message}`);
        await create(ACME, "hello");
      }
    }
  },
  async "requests in parallel do not mix"() {
    await Promise.all(Array.from({ length: 16 }, async (_, number) => {
      const lines = [`!say answer ${number}`, `!call ok_a {"number":${number}}`, `!call no_b {"v":"${HIDDEN}"}`, "!delay 1ms"];
      const { parts: [message, call] } = await Responses.byHand(ACME, body(lines));
      assert.equal(message.content[0].text, `answer ${number}`);
      assert.equal(call.arguments, `{"number":${number}}`);
    }));
  },
};

await run("openai_responses.mjs", [...cases(Responses), ...Object.entries({ ...ANYWHERE, ...(GATEWAY ? GATEWAY_ONLY : {}) })]);
