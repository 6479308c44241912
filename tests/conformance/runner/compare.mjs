// What the suite found directly and through the gateway, check by check.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const WORST_FIRST = ["FAILURE", "WARNING", "SKIPPED", "INFO", "SUCCESS"];

/** The checks of some runs by scenario and id; of one that comes several times, the worst counts. */
function read(...runs) {
  const checks = new Map();
  for (const folder of runs.flatMap((run) => readdirSync(run).map((each) => path.join(run, each)))) {
    const scenario = path.basename(folder).replace(/^server-/, "").replace(/-\d{4}-\d{2}-\d{2}T.*$/, "");
    for (const { id, status, errorMessage } of JSON.parse(readFileSync(path.join(folder, "checks.json")))) {
      const name = `${scenario} ${id}`;
      const known = checks.get(name);
      if (!known || WORST_FIRST.indexOf(status) < WORST_FIRST.indexOf(known.status)) checks.set(name, { status, errorMessage });
    }
  }
  return checks;
}

/** Red: what fails behind the gateway, and what passes without it only. */
function red(direct, gated) {
  const names = new Set([...direct.keys(), ...gated.keys()]);
  return [...names].sort().flatMap((name) => {
    const [before, after] = [direct.get(name)?.status, gated.get(name)?.status ?? "missing"];
    const failed = ["FAILURE", "WARNING"].includes(after) || (before === "SUCCESS" && after !== "SUCCESS");
    return failed ? [{ name, before: before ?? "missing", after, says: gated.get(name)?.errorMessage }] : [];
  });
}

/** What is known not to pass yet: `REVISION SCENARIO CHECK: REASON`. */
export function expected(file) {
  const lines = readFileSync(file, "utf8").split("\n").filter((line) => line.trim() && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name, reason] = /^(\S+ \S+ [^:\s]+): (.+)$/.exec(line) ?? [];
      if (!reason) throw new Error(`expected.txt: a line is no \`REVISION SCENARIO CHECK: REASON\`: ${line}`);
      return [name, reason];
    }),
  );
}

const count = (checks, status) => [...checks.values()].filter((check) => check.status === status).length;

/** Prints the table, and takes what is red out of what is known; whether something is not as it should be. */
export function compare(legs, known, show) {
  const unexpected = [];
  console.log("revision     direct  gateway  as client  red, known  red");
  for (const { revision, direct, gated, asClient } of legs) {
    const [before, after, client] = [read(direct), read(gated), read(...asClient)];
    const named = (of, place) => of.map((each) => ({ ...each, name: `${revision} ${place}${each.name}` }));
    const reds = [...named(red(before, after), ""), ...named(red(new Map(), client), "client/")];
    const fresh = reds.filter((each) => !known.has(each.name));
    unexpected.push(...fresh.map((each) => `red: ${each.name}: ${each.before} directly, ${each.after} through the gateway`));
    const column = (value, width) => String(value).padStart(width);
    const passed = [before, after, client].map((each, at) => column(count(each, "SUCCESS"), [8, 9, 11][at])).join("");
    console.log(`${revision} ${passed}${column(reds.length - fresh.length, 12)}${column(fresh.length, 5)}`);
    if (show) for (const each of reds) console.log(`  ${each.name}: ${each.after}: ${each.says ?? ""}`);
    for (const each of reds) known.delete(each.name);
  }
  unexpected.push(...[...known.keys()].map((name) => `green, so take it out of expected.txt: ${name}`));
  for (const line of unexpected) console.log(line);
  return unexpected.length > 0;
}
