// Chat Completions with the official OpenAI SDK for JavaScript.
// The same checks as openai_chat.py, with the same table: cases.json. What is expected of a tool call is what the mock
// says when it is asked directly, less what the rules deny.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { GATEWAY, HIDDEN, MOCK, TARGET, forget, key, run, seen, until } from "./harness.mjs";

const TABLE = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));

const client = (tenant, retries = 0, more = {}) => new OpenAI({
  baseURL: `${TARGET}/v1`, apiKey: key(tenant), maxRetries: retries, timeout: 20000, ...more,
});
const CLIENTS = Object.fromEntries(
  ["acme", "globex", "tight", "single", "expired", "unknown"].map((tenant) => [tenant, client(tenant)]));
const DIRECT = new OpenAI({ baseURL: `${MOCK}/v1`, apiKey: "none", maxRetries: 0 });
const ACME = CLIENTS.acme;

const user = (lines, more = {}) => ({ model: "gpt-5", messages: [{ role: "user", content: [lines].flat().join("\n") }], ...more });
const chat = (sdk, lines, more) => sdk.chat.completions.create(user(lines, more));
const fn = (name) => ({ name, parameters: { type: "object", properties: {}, additionalProperties: false } });
const tools = (...names) => names.map((name) => ({ type: "function", function: { ...fn(name), strict: true } }));

/** The error that `ask` throws, which must be of this class, status and code, in OpenAI's shape. */
async function refused(kind, status, code, ask) {
  let answer;
  try {
    answer = await ask();
  } catch (error) {
    assert.ok(error instanceof kind, `${error.constructor.name}, not ${kind.name}: ${error.message}`);
    assert.deepEqual([error.status, error.code], [status, code], "status and code");
    assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"], "the fields of the error");
    assert.ok(error.requestID, "x-request-id is missing");
    return error;
  }
  assert.fail(`answered, not refused: ${JSON.stringify(answer)?.slice(0, 300)}`);
}

// ------------------------------------------------------------------ reading answers, all into the same form

function one({ message, finish_reason: finish }) {
  const calls = (message.tool_calls ?? []).map((call) => {
    const inner = call[call.type];
    return { id: call.id, type: call.type, name: inner.name, arguments: call.type === "custom" ? inner.input : inner.arguments };
  });
  const legacy = message.function_call ? { name: message.function_call.name, arguments: message.function_call.arguments } : null;
  return { content: message.content ?? "", refusal: message.refusal ?? "", calls, legacy, finish };
}

async function whole(sdk, body) {
  const answer = await sdk.chat.completions.create(body);
  return [answer.choices.map(one), answer];
}

/** Puts the chunks together by hand. `strict` wants what the SDKs' own helpers need: dense indexes, in order. */
async function streamed(sdk, body, strict) {
  const choices = [];
  const events = [];
  for await (const chunk of await sdk.chat.completions.create({ ...body, stream: true })) {
    events.push(chunk);
    for (const { index, delta, finish_reason: finish } of chunk.choices) {
      choices[index] ??= { content: "", refusal: "", calls: [], legacy: null, finish: null };
      const choice = choices[index];
      assert.equal(choice.finish, null, "something after the finish");
      choice.finish = finish;
      choice.content += delta.content ?? "";
      choice.refusal += delta.refusal ?? "";
      for (const entry of delta.tool_calls ?? []) addCall(choice.calls, entry, strict);
      if (delta.function_call) {
        choice.legacy ??= { name: "", arguments: "" };
        choice.legacy.name += delta.function_call.name ?? "";
        choice.legacy.arguments += delta.function_call.arguments ?? "";
      }
    }
  }
  for (const choice of choices) for (const call of choice.calls) delete call.index;
  return [choices, events];
}

function addCall(calls, entry, strict) {
  const { index, id } = entry;
  const inner = entry.function ?? entry.custom ?? {};
  let known;
  if (strict) {
    assert.ok(Number.isInteger(index) && index <= calls.length, `index ${index} after ${calls.length} calls`);
    known = calls[index];
    assert.ok(!known || !id || id === known.id, "another call at the same index");
  } else if (id) {
    known = calls.findLast((call) => call.id === id);
  } else {
    known = calls.findLast((call) => call.index === index) ?? calls.at(-1);
  }
  if (!known) calls.push(known = { index, id, type: entry.type, name: "", arguments: "" });
  known.name += inner.name ?? "";
  const more = inner.arguments ?? inner.input;
  if (typeof more === "string") known.arguments += more;
  else if (more) known.arguments = more;
}

async function helped(sdk, body) {
  const stream = sdk.chat.completions.stream(body);
  const events = [];
  for await (const chunk of stream) events.push(chunk);
  const answer = await stream.finalChatCompletion();
  return [answer.choices.map(one), [...events, answer]];
}

// ------------------------------------------------------------------ the table

function bodyOf(case_, form) {
  const names = case_.lines.filter((line) => line.startsWith("!call ")).map((line) => line.split(" ")[1]);
  const offer = [...new Set(case_.offer ?? names)];
  const body = user([...case_.lines, ...form.lines], { model: case_.model ?? "gpt-5" });
  if (offer.length && case_.legacy) body.functions = offer.map(fn);
  else if (offer.length) body.tools = tools(...offer);
  if (case_.n) body.n = case_.n;
  return body;
}

/** Arguments that came as an object have no text to be kept. */
const loose = (call) => ({ ...call, arguments: typeof call.arguments === "string" ? JSON.parse(call.arguments) : call.arguments });

function expectedCalls(case_, truth) {
  const kept = GATEWAY ? case_.kept : truth.calls.map((_, at) => at);
  const calls = kept.map((at) => {
    const becomes = GATEWAY && case_.becomes?.[at];
    return becomes ? { ...truth.calls[at], arguments: JSON.stringify(becomes) } : truth.calls[at];
  });
  return [calls, truth.calls.filter((_, at) => !kept.includes(at))];
}

function judge(case_, truths, gots, events) {
  const denied = GATEWAY ? case_.denied ?? [] : [];
  const dump = JSON.stringify(events);
  assert.equal(gots.length, truths.length, "choices");
  truths.forEach((truth, at) => {
    const got = gots[at];
    let natural = truth.finish;
    if (case_.legacy) {
      assert.deepEqual(got.legacy, denied.length ? null : truth.legacy, "the legacy call");
      if (denied.length) natural = "stop";
    } else {
      const [calls, gone] = expectedCalls(case_, truth);
      const parsed = case_.becomes || truth.calls.some((call) => typeof call.arguments !== "string");
      assert.deepEqual(parsed ? got.calls.map(loose) : got.calls, parsed ? calls.map(loose) : calls, "calls");
      if (denied.length) natural = calls.length ? "tool_calls" : "stop";
      for (const call of gone) assert.ok(!dump.includes(call.id), `the id of the denied call of ${call.name} came through`);
    }
    assert.ok(got.finish === natural || (got.calls.length && got.finish === truth.finish), `finish_reason ${got.finish}, expected ${natural}`);
    assert.equal(got.refusal, truth.refusal, "refusal");
    if (!denied.length) assert.equal(got.content, truth.content, "text");
    assert.ok(got.content.startsWith(truth.content), `the model's own text is gone: ${got.content}`);
    for (const words of denied.flatMap(Object.values)) {
      assert.ok(got.content.includes(words), `'${words}' is not in the text '${got.content}'`);
    }
  });
  if (GATEWAY && (denied.length || case_.becomes)) assert.ok(!dump.includes(HIDDEN), "arguments that were denied or replaced came through");
}

async function runCase(case_, form) {
  const body = bodyOf(case_, form);
  const sdk = CLIENTS[case_.tenant];
  if (case_.raises) return breaks(case_, sdk, body);
  const [truth] = await whole(DIRECT, body);
  const [unstreamed, answer] = await whole(sdk, body);
  judge(case_, truth, unstreamed, answer);
  const strict = Boolean(GATEWAY) || !form.odd;
  const ways = { "stream: true": () => streamed(sdk, body, strict) };
  if ((case_.helper ?? true) && strict) ways[".stream()"] = () => helped(sdk, body);
  for (const [way, ask] of Object.entries(ways)) {
    const [got, events] = await ask();
    try {
      judge(case_, truth, got, events);
      const texts = truth.every(({ calls }) => calls.every((call) => typeof call.arguments === "string"));
      if (texts) assert.deepEqual(got, unstreamed, "unlike unstreamed");
    } catch (error) {
      throw new Error(`${way}: ${error.message}`);
    }
  }
}

/** A stream that breaks must be an error; an end that looks fine would be taken for the whole answer. */
async function breaks(case_, sdk, body) {
  for (const [way, ask] of Object.entries({ "stream: true": () => streamed(sdk, body, true), ".stream()": () => helped(sdk, body) })) {
    let got, error;
    try {
      [got] = await ask();
    } catch (caught) {
      error = caught;
    }
    if (error instanceof assert.AssertionError) throw error;
    if (GATEWAY || !case_.refused) assert.ok(error, `${way}: a clean end: ${JSON.stringify(got)}`);
    if (GATEWAY) {
      assert.ok(error instanceof OpenAI.APIError, `${way}: ${error.constructor.name}, not APIError: ${error.message}`);
      assert.ok(!`${error.message}${JSON.stringify(error.error)}`.includes(HIDDEN), "arguments in the error");
    }
    await chat(sdk, "hello", { model: body.model }); // so that failures in a row do not open the circuit
  }
  if (case_.refused && GATEWAY) {
    const error = await refused(OpenAI.PermissionDeniedError, 403, "tool_not_allowed", () => sdk.chat.completions.create(body));
    assert.ok(!JSON.stringify(error.error).includes(HIDDEN), "arguments in the error");
  }
}

// ------------------------------------------------------------------ what needs code

const ANYWHERE = {
  async "usage comes when asked for"() {
    const { usage } = await chat(ACME, "hello");
    assert.ok(usage.total_tokens > 0 && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens);
    const chunks = [];
    for await (const chunk of await chat(ACME, "hello", { stream: true, stream_options: { include_usage: true } })) chunks.push(chunk);
    assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage], [[], usage], "the last chunk");
    for await (const chunk of await chat(ACME, "hello", { stream: true })) {
      assert.ok(chunk.choices.length && !chunk.usage, "usage that was not asked for");
    }
  },
  async "embeddings"() {
    const body = { model: "text-embedding-3-small", input: ["a", "b"] };
    const plain = await ACME.embeddings.create({ ...body, encoding_format: "float" });
    const packed = await ACME.embeddings.create(body);
    assert.equal(packed.data.length, 2);
    plain.data.forEach(({ embedding }, at) => {
      assert.equal(packed.data[at].embedding.length, embedding.length);
      embedding.forEach((entry, place) => assert.ok(Math.abs(entry - packed.data[at].embedding[place]) < 1e-6, "base64 differs"));
    });
    assert.ok(packed.usage.prompt_tokens > 0);
  },
  async "completions"() {
    const body = { model: "gpt-5", prompt: "!say one two three" };
    assert.equal((await ACME.completions.create(body)).choices[0].text, "one two three");
    let text = "";
    let finish;
    for await (const { choices: [choice] } of await ACME.completions.create({ ...body, stream: true })) {
      text += choice.text;
      finish = choice.finish_reason;
    }
    assert.deepEqual([text, finish], ["one two three", "stop"]);
  },
  async "moderations"() {
    const { results } = await ACME.moderations.create({ model: "omni-moderation-latest", input: ["violence", "peace"] });
    assert.deepEqual(results.map(({ flagged }) => flagged), [true, false]);
  },
  async "leaving closes the upstream"() {
    for (const lines of [["!say one two three", "!stall 3"], ['!call ok_a {"a":1}', "!stall 2"]]) {
      await forget();
      const stream = await chat(ACME, lines, { stream: true });
      for await (const _ of stream) break;
      stream.controller.abort();
      await until(async () => (await seen()).map(({ outcome }) => outcome).join() === "client_gone", 2, "the upstream is left");
    }
  },
};

const GATEWAY_ONLY = {
  async "models are the tenant's own"() {
    const listed = async (sdk) => {
      const ids = [];
      for await (const { id } of sdk.models.list()) ids.push(id);
      return ids.sort();
    };
    assert.deepEqual(await listed(ACME), ["claude-opus", "claude-raw", "gpt-4o", "gpt-5", "omni-moderation-latest", "text-embedding-3-small"]);
    assert.deepEqual(await listed(CLIENTS.globex), ["claude-raw", "gpt-4o"]);
    assert.equal((await ACME.models.retrieve("gpt-5")).id, "gpt-5");
  },
  async "a model that is not the tenant's does not exist"() {
    await forget();
    for (const ask of [
      (model) => chat(ACME, "hello", { model }),
      (model) => chat(ACME, "hello", { model, stream: true }),
      (model) => ACME.embeddings.create({ model, input: "a" }),
      (model) => ACME.models.retrieve(model),
    ]) {
      const bodies = [];
      for (const model of ["secret-model", "absent-model"]) {
        const error = await refused(OpenAI.NotFoundError, 404, "model_not_found", () => ask(model));
        bodies.push(JSON.stringify(error.error).replaceAll(model, "NAME"));
      }
      assert.equal(bodies[0], bodies[1], "the two answers");
    }
    assert.ok((await seen()).every(({ path }) => path !== "/v1/chat/completions"), "it reached the upstream");
  },
  async "credentials are one answer"() {
    await forget();
    const ask = async (tenant) =>
      (await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", () => chat(CLIENTS[tenant], "hello"))).error;
    assert.deepEqual(await ask("unknown"), await ask("expired"));
    assert.deepEqual(await seen(), []);
  },
  async "credentials stay on their side"() {
    await forget();
    const { response } = await ACME.chat.completions
      .create(user(["hello", "!headers"]), { headers: { "x-tenant-id": "globex" } }).withResponse();
    for (const name of ["openai-organization", "set-cookie"]) assert.ok(!response.headers.has(name), `the provider's ${name} came through`);
    assert.ok(!["10000", null].includes(response.headers.get("x-ratelimit-limit-requests")), "x-ratelimit-limit-requests");
    assert.ok(response.headers.get("x-request-id"), "x-request-id is missing");
    const hit = JSON.stringify((await seen()).at(-1));
    assert.ok(!hit.includes(process.env.KEY_ACME), "the tenant's key reached the upstream");
    assert.ok(hit.includes(`Bearer ${process.env.UPSTREAM_KEY}`), "the upstream's key did not");
  },
  async "offered tools that are denied never arrive"() {
    await forget();
    await chat(ACME, "hello", { tools: tools("no_a", "ok_b", "delete_c", "transfer"), parallel_tool_calls: false });
    await chat(ACME, "hello", { tools: tools("no_a"), tool_choice: "auto", parallel_tool_calls: false });
    await chat(ACME, "hello", { functions: [fn("no_a"), fn("ok_b")] });
    const [some, none, legacy] = (await seen()).map(({ body }) => JSON.parse(body));
    assert.deepEqual(some.tools.map((tool) => tool.function.name), ["ok_b", "transfer"]);
    for (const key of ["tools", "tool_choice", "parallel_tool_calls"]) assert.ok(!(key in none), `${key} is left over`);
    assert.deepEqual(legacy.functions.map(({ name }) => name), ["ok_b"]);
  },
  async "a forced tool that is denied is refused once"() {
    let attempts = 0;
    const counting = (...request) => { attempts += 1; return fetch(...request); };
    const eager = client("acme", 2, { fetch: counting });
    await forget();
    for (const stream of [false, true]) {
      const tool_choice = { type: "function", function: { name: "no_a" } };
      const error = await refused(OpenAI.PermissionDeniedError, 403, "tool_not_allowed", () =>
        chat(eager, "hello", { tools: tools("no_a", "ok_b"), tool_choice, stream }));
      assert.equal(error.headers.get("x-should-retry"), "false");
    }
    assert.deepEqual([attempts, (await seen()).length], [2, 0], "attempts, and hits upstream");
  },
  async "a result for a denied call is refused"() {
    const body = user(`!call no_a {"v":"${HIDDEN}"}`);
    const { message: { tool_calls: [call] } } = (await DIRECT.chat.completions.create(body)).choices[0];
    await ACME.chat.completions.create(body);
    body.messages.push({ role: "assistant", tool_calls: [call] }, { role: "tool", tool_call_id: call.id, content: "done" });
    await refused(OpenAI.PermissionDeniedError, 403, "tool_not_allowed", () => ACME.chat.completions.create(body));
  },
  async "an agent comes to an end"() {
    const body = user("Use ok_a and no_b, please.", { tools: tools("ok_a", "no_b") });
    const ran = [];
    let message;
    for (let turn = 0; turn < 4; turn += 1) {
      ({ message } = (await ACME.chat.completions.create(body)).choices[0]);
      body.messages.push(message);
      if (!message.tool_calls?.length) break;
      for (const call of message.tool_calls) {
        ran.push(call.function.name);
        body.messages.push({ role: "tool", tool_call_id: call.id, content: "sunny" });
      }
    }
    assert.deepEqual([ran, message.content], [["ok_a"], "The tool answered: sunny"], "what ran, and the last word");
  },
  async "the rate limit says how long to wait"() {
    let error;
    for (let turn = 0; turn < 5 && !error; turn += 1) await chat(CLIENTS.tight, "hello").catch((caught) => { error = caught; });
    assert.ok(error, "five requests at once passed a rate of 60/min burst 2");
    assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
    assert.deepEqual([error.status, error.code], [429, "rate_limit_exceeded"]);
    const wait = Number(error.headers.get("retry-after-ms"));
    assert.ok(wait > 0 && wait <= 1000 && Number(error.headers.get("retry-after")) >= 1, "retry-after");
    assert.equal(error.headers.get("x-ratelimit-remaining-requests"), "0");
    assert.ok(error.headers.get("x-ratelimit-limit-requests"));
    await sleep(wait + 50);
    await chat(CLIENTS.tight, "hello");
    await chat(client("tight", 4), "the SDK waits as it is told");
  },
  async "one too many at once is refused at once"() {
    const held = await chat(CLIENTS.single, ["!say one two three", "!stall 3"], { stream: true });
    await held[Symbol.asyncIterator]().next();
    const start = performance.now();
    await refused(OpenAI.RateLimitError, 429, "rate_limit_exceeded", () => chat(CLIENTS.single, "hello"));
    assert.ok(performance.now() - start < 1000, "it waited");
    held.controller.abort();
    const admitted = () => chat(CLIENTS.single, "hello").catch((error) => {
      if (!(error instanceof OpenAI.RateLimitError)) throw error;
    });
    await until(admitted, 2, "the place is free again");
  },
  async "failures upstream are told in our words"() {
    for (const [status, kind, told, code] of [
      [503, OpenAI.InternalServerError, null, "upstream_error"],
      [500, OpenAI.InternalServerError, 502, "upstream_error"],
      [401, OpenAI.InternalServerError, 502, "upstream_error"],
      [400, OpenAI.BadRequestError, 400, null],
      [422, OpenAI.UnprocessableEntityError, 422, null],
      [429, OpenAI.RateLimitError, 429, null],
    ]) {
      for (const stream of [false, true]) {
        const error = await chat(ACME, `!status ${status}`, { stream }).then(() => null, (caught) => caught);
        assert.ok(error instanceof kind, `${status} became ${error?.constructor.name}`);
        assert.ok(told === null || told === error.status, `${status} became ${error.status}`);
        assert.ok(code === null || code === error.code, `${status} has code ${error.code}`);
        assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
        assert.ok(!JSON.stringify(error.error).includes("sk-"), `the upstream's words came through: ${error.message}`);
        await chat(ACME, "hello");
      }
    }
  },
  async "failures of a moment are tried again"() {
    await forget();
    const answer = await chat(ACME, ["!status-times 2 503", `!say ${performance.now()}`]);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal((await seen()).length, 3, "hits upstream");
  },
  async "requests in parallel do not mix"() {
    await Promise.all(Array.from({ length: 16 }, async (_, number) => {
      const lines = [`!say answer ${number}`, `!call ok_a {"number":${number}}`, `!call no_b {"v":"${HIDDEN}"}`, "!delay 1ms"];
      const [[got]] = await streamed(ACME, user(lines), true);
      assert.ok(got.content.includes(`answer ${number}`), got.content);
      assert.deepEqual(got.calls.map((call) => call.arguments), [`{"number":${number}}`]);
    }));
  },
};

function* checks() {
  for (const case_ of TABLE.cases) {
    for (const name of case_.forms ?? ["one by one"]) yield [`${case_.name} (${name})`, () => runCase(case_, TABLE.forms[name])];
  }
  yield* Object.entries(ANYWHERE);
  if (GATEWAY) yield* Object.entries(GATEWAY_ONLY);
}

await run("openai_chat.mjs", checks());
