// The table of Responses and Messages (answers.json), and how an answer is judged; the same as answers.py.
// What is expected is not written down: the mock is asked the same directly, and the gateway has to say the same, part
// by part, less what its rules deny. A dialect tells how it asks and what its parts are (items there, blocks here).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { GATEWAY, HIDDEN } from "./harness.mjs";

const TABLE = JSON.parse(readFileSync(new URL("answers.json", import.meta.url), "utf8"));
const NOTICE = /^\[The tool call `(.+?)` was denied: (.+)\]$/s;

/** `parts` are objects, `end` says why the answer ended, `dump` is everything that was read, as text. */
export const answer = (parts, end, usage, read) => ({ parts, end, usage, dump: JSON.stringify(read) });

/** The same value without nulls and without members of these names, which the SDKs add. */
export function plain(value, ...added) {
  if (Array.isArray(value)) return value.map((entry) => plain(entry, ...added));
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([name, entry]) => entry !== null && entry !== undefined && !added.includes(name));
  return Object.fromEntries(kept.map(([name, entry]) => [name, plain(entry, ...added)]));
}

/** The checks of the table, by name. */
export function* cases(dialect) {
  const fits = ({ only = dialect.name, gateway_only: gatewayOnly }) =>
    only === dialect.name && (GATEWAY || ![true, dialect.name].includes(gatewayOnly));
  for (const case_ of TABLE.cases.filter(fits)) {
    for (const name of case_.forms ?? ["plain"]) {
      const form = TABLE.forms[name];
      if (fits(form)) yield [`${case_.name} (${name})`, () => runCase(dialect, case_, form)];
    }
  }
}

async function runCase(dialect, case_, form) {
  const names = case_.lines.filter((line) => line.startsWith("!call ")).map((line) => line.split(" ")[1]);
  const tenant = case_.tenant ?? "acme";
  const sdk = dialect.clients[tenant];
  const body = dialect.body([...case_.lines, ...form.lines], tenant, [...new Set(case_.offer ?? names)]);
  if (case_.raises) return breaks(dialect, case_, sdk, body);
  const truth = await dialect.whole(dialect.direct, body);
  const whole = await unstreamed(dialect, case_, truth, sdk, body);
  for (const [way, ask] of [["stream: true", dialect.byHand], [".stream()", dialect.helped]]) {
    if (ask === dialect.helped && case_.helper === false) continue;
    try {
      if (case_.last_copy) {
        await neverShown(dialect, case_, truth, sdk, body, ask);
        continue;
      }
      const streamed = await ask(sdk, body);
      judge(dialect, case_, truth, streamed);
      if (whole) assert.deepEqual(withoutNewIds(dialect, streamed), withoutNewIds(dialect, whole), "unlike unstreamed");
    } catch (error) {
      error.message = `${way}: ${error.message}`;
      throw error;
    }
  }
  nothingHidden(dialect, case_, truth, await dialect.raw(sdk, body));
}

/** The whole answer. In some dialects it cannot say all that a stream can, and may be refused; then there is none. */
async function unstreamed(dialect, case_, truth, sdk, body) {
  const alone = case_.streamed_alone === dialect.name;
  try {
    const whole = await dialect.whole(sdk, body);
    judge(dialect, case_, truth, whole);
    return alone ? null : whole;
  } catch (error) {
    if (!alone || !(error instanceof dialect.error)) throw error;
    nothingHidden(dialect, case_, truth, `${error}`);
    return null;
  }
}

/** Where the truth's calls are that are kept, and those that are not. */
function places(dialect, case_, truth) {
  const calls = truth.parts.flatMap((part, at) => (dialect.isCall(part) ? [at] : []));
  const kept = GATEWAY ? (case_.kept ?? []).map((number) => calls[number]) : calls;
  return [kept, calls.filter((at) => !kept.includes(at))];
}

function judge(dialect, case_, truth, got) {
  const [kept, gone] = places(dialect, case_, truth);
  assert.equal(got.parts.length, truth.parts.length, `the number of parts of ${JSON.stringify(got.parts)}`);
  const denied = [...(case_.denied ?? [])];
  truth.parts.forEach((expected, at) => {
    const part = got.parts[at];
    const becomes = GATEWAY && kept.includes(at) && case_.becomes?.[kept.indexOf(at)];
    if (gone.includes(at)) {
      isNotice(dialect, part, denied.shift());
    } else if (becomes) {
      assert.deepEqual(dialect.withoutArguments(part), dialect.withoutArguments(expected), `part ${at} but for its arguments`);
      assert.deepEqual(dialect.arguments(part), becomes, `the arguments of part ${at}`);
    } else {
      assert.deepEqual(part, expected, `part ${at}`);
    }
  });
  const asSaid = JSON.stringify(got.end) === JSON.stringify(truth.end);
  if (gone.length || !asSaid) {
    const fitting = dialect.ends(truth.end, kept.map((at) => truth.parts[at])).some((end) => JSON.stringify(end) === JSON.stringify(got.end));
    assert.ok(fitting && (gone.length || kept.length), `the end is ${JSON.stringify(got.end)}, not ${JSON.stringify(truth.end)}`);
  }
  assert.deepEqual(got.usage, truth.usage, "usage");
  nothingHidden(dialect, case_, truth, got.dump);
}

function isNotice(dialect, part, { tool, reason }) {
  const found = NOTICE.exec(dialect.notice(part) ?? "");
  assert.ok(found, `no notice of a denied ${tool}: ${JSON.stringify(part)}`);
  assert.equal(found[1], tool, "the tool of the notice");
  assert.ok(!reason || found[2].startsWith(reason), `the reason is '${found[2]}'`);
}

/** Nothing of a denied call but its name, in any event or copy. */
function nothingHidden(dialect, case_, truth, dump) {
  if (!GATEWAY) return;
  assert.ok(!dump.includes(HIDDEN), "arguments that were denied or replaced came through");
  for (const at of places(dialect, case_, truth)[1]) {
    for (const id of dialect.ids(truth.parts[at])) assert.ok(!dump.includes(id), `an id of the denied call of ${truth.parts[at].name} came through`);
  }
}

/** A notice's id is the gateway's own, and new each time. */
function withoutNewIds(dialect, { parts, end, usage }) {
  return { parts: parts.map((part) => (NOTICE.test(dialect.notice(part) ?? "") ? { ...part, id: null } : part)), end, usage };
}

/** The last event says something else than those before it: what it says of calls was decided too, or is an error. */
async function neverShown(dialect, case_, truth, sdk, body, ask) {
  let got;
  try {
    got = await ask(sdk, body);
  } catch (error) {
    assert.ok(GATEWAY && error instanceof dialect.error, `${error}`);
    return nothingHidden(dialect, case_, truth, `${error}`);
  }
  if (!GATEWAY) return undefined;
  const judged = places(dialect, case_, truth)[0].map((at) => JSON.stringify(truth.parts[at]));
  for (const part of got.parts) assert.ok(!dialect.isCall(part) || judged.includes(JSON.stringify(part)), `not judged: ${JSON.stringify(part)}`);
  return nothingHidden(dialect, case_, truth, got.dump);
}

/** Refused at once, a stream has no events. */
const rawUntilItBreaks = (dialect, sdk, body) => dialect.raw(sdk, body, true).catch((error) => `${error}`);

/** A stream that breaks must be an error; an end that looks fine would be taken for the whole answer. */
async function breaks(dialect, case_, sdk, body) {
  const tenant = case_.tenant ?? "acme";
  for (const [way, ask] of [["stream: true", dialect.byHand], [".stream()", dialect.helped]]) {
    const [got, error] = await ask(sdk, body).then((got) => [got, null], (error) => [null, error]);
    assert.ok(error && !(error instanceof assert.AssertionError), `${way}: ${error ?? `a clean end: ${JSON.stringify(got)}`}`);
    if (GATEWAY) assert.ok(error instanceof dialect.error && !`${error}`.includes(HIDDEN), `${way}: ${error}`);
    await dialect.whole(sdk, dialect.body(["hello"], tenant)); // failures in a row would open the circuit
  }
  if (GATEWAY) {
    assert.ok(!(await rawUntilItBreaks(dialect, sdk, body)).includes(HIDDEN), "arguments in the events before the error");
    await dialect.whole(sdk, dialect.body(["hello"], tenant));
  }
  if (case_.refused) {
    const error = await dialect.refused(403, () => dialect.whole(sdk, body));
    assert.ok(!JSON.stringify(error.error).includes(HIDDEN), "arguments in the error");
  }
}
