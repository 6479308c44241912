// What the suites share: where the mock and the gateway are, what the mock has seen, and how checks are run. A suite
// runs against the gateway or, without GATEWAY_URL, against the mock alone.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

export const { MOCK_URL: MOCK, GATEWAY_URL: GATEWAY } = process.env;
export const TARGET = GATEWAY ?? MOCK;
export const HIDDEN = "HIDDEN-ARGUMENT";

export const key = (tenant) => process.env[`KEY_${tenant.toUpperCase()}`];
export const seen = async () => (await fetch(`${MOCK}/mock/requests`)).json();
export const forget = () => fetch(`${MOCK}/mock/requests`, { method: "DELETE" });
/** The JSON bodies that the mock has seen. */
export const bodies = async () => (await seen()).map(({ body }) => JSON.parse(body));

export async function until(condition, seconds, what) {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(performance.now() < end, `not within ${seconds} s: ${what}`);
    await sleep(20);
  }
}

/** Runs all; a report of all failures is worth more than the first. */
export async function run(suite, checks) {
  const start = performance.now();
  let failed = 0;
  let total = 0;
  for (const [name, check] of checks) {
    total += 1;
    try {
      await check();
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}\n      ${error.name}: ${error.message}`);
    }
  }
  console.log(`${suite}: ${total - failed} of ${total} passed in ${Math.round((performance.now() - start) / 1000)} s`);
  process.exit(failed ? 1 : 0);
}
