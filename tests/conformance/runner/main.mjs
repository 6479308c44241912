// Starts the fixtures twice and a gateway before one of them, runs the suite against each, and compares; then the suite's
// client scenarios, with a gateway as the client.
import path from "node:path";
import { compare, expected } from "./compare.mjs";
import { forwarder } from "./forwarder.mjs";
import { freePort, gateway, ready, start, stop, work } from "./gateway.mjs";

const [here, ...options] = process.argv.slice(2);
const packages = path.dirname(import.meta.dirname);

/** The revisions, the server whose era is theirs, and the client scenarios that a gateway can pass. */
const LEGS = [
  { revision: "2025-11-25", server: "sessions", clients: ["tools_call", "sse-retry"] },
  {
    revision: "2026-07-28",
    server: "stateless",
    clients: [
      "tools_call",
      "request-metadata",
      "sep-2322-client-request-state",
      "http-standard-headers",
      "http-custom-headers",
      "http-invalid-tool-headers",
      "json-schema-ref-no-deref",
    ],
  },
];

async function fixtures(name) {
  const port = await freePort();
  const process = start(name, globalThis.process.execPath, path.join(packages, "server/main.mjs"), String(port));
  const url = `http://127.0.0.1:${port}`;
  await ready(name, url, process);
  return url;
}

/** Runs a part of the suite, and returns where its results are. */
async function suite(name, ...given) {
  const results = path.join(work, name);
  const command = path.join(packages, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
  const { ended, output } = start(name, process.execPath, command, ...given, "-o", results);
  await ended;
  if (!/=== SUMMARY ===|Test Results:/.test(output())) throw new Error(`the suite did not end:\n${output().slice(-2000)}`);
  return results;
}

const servers = (name, revision, url) => suite(name, "server", "--url", url, "--requirements", revision);

async function clients(revision, scenarios) {
  const results = [];
  for (const scenario of scenarios) {
    const command = `${process.execPath} ${path.join(packages, "runner/leg.mjs")} ${here}`;
    results.push(
      await suite(`${revision}-${scenario}`, "client", "--command", command, "--scenario", scenario, "--spec-version", revision),
    );
  }
  return results;
}

const known = expected(path.join(here, "expected.txt"));
let failed = true;
try {
  const [alone, behind] = await Promise.all([fixtures("alone"), fixtures("behind")]);
  const { port, key } = await gateway(here, LEGS.map(({ server }) => [server, `${behind}/${server}`]));
  const through = `http://127.0.0.1:${await forwarder(port, `Authorization: Bearer ${key}`)}`;
  const legs = await Promise.all(
    LEGS.map(async ({ revision, server, clients: scenarios }) => {
      const [direct, gated, asClient] = await Promise.all([
        servers(`${revision}-direct`, revision, `${alone}/${server}`),
        servers(`${revision}-gateway`, revision, `${through}/mcp/${server}`),
        clients(revision, scenarios),
      ]);
      return { revision, direct, gated, asClient };
    }),
  );
  failed = compare(legs, known, options.includes("--show"));
} finally {
  stop(failed);
}
process.exit(failed ? 1 : 0);
