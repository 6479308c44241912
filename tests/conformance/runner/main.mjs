// Starts the fixtures twice and a gateway before one of them, runs the suite against each, and compares.
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { compare } from "./compare.mjs";
import { forwarder } from "./forwarder.mjs";

const [here, ...options] = process.argv.slice(2);
const packages = path.dirname(import.meta.dirname);
const work = mkdtempSync(path.join(tmpdir(), "tollgate-conformance-"));
const processes = [];

/** The revisions, and the server whose era is theirs. */
const LEGS = [
  { revision: "2025-11-25", server: "sessions" },
  { revision: "2026-07-28", server: "stateless" },
];

const freePort = () =>
  new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });

/** A process with its output in a file of its name. */
function start(name, command, ...given) {
  const log = path.join(work, `${name}.log`);
  const process = spawn(command, given, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [process.stdout, process.stderr]) stream.on("data", (data) => (output += data));
  const ended = new Promise((end) => process.on("close", end)).finally(() => writeFileSync(log, output));
  processes.push(process);
  return { ended, output: () => output };
}

async function ready(name, url, process) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer && answer.status < 500) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${name} is not ready; it wrote:\n${process.output()}`);
}

async function fixtures(name) {
  const port = await freePort();
  const process = start(name, globalThis.process.execPath, path.join(packages, "server/main.mjs"), String(port));
  const url = `http://127.0.0.1:${port}`;
  await ready(name, url, process);
  return url;
}

/** A gateway before these fixtures: its address, as one reaches it who has no key. */
async function gateway(servers) {
  const key = `test-key-${randomBytes(16).toString("hex")}`;
  const [port, admin] = [await freePort(), await freePort()];
  const values = {
    GATEWAY: `127.0.0.1:${port}`,
    ADMIN: `127.0.0.1:${admin}`,
    DATA: path.join(work, "data"),
    SERVERS: servers,
    KEY: createHash("sha256").update(key).digest("hex"),
  };
  const config = readFileSync(path.join(here, "tollgate.yaml"), "utf8").replace(/@([A-Z]+)@/g, (_, name) => values[name]);
  writeFileSync(path.join(work, "tollgate.yaml"), config);
  const process = start("gateway", globalThis.process.env.TOLLGATE_BIN, "serve", "--config", path.join(work, "tollgate.yaml"));
  await ready("gateway", `http://127.0.0.1:${admin}/readyz`, process);
  return `http://127.0.0.1:${await forwarder(port, `Authorization: Bearer ${key}`)}`;
}

/** Runs the scenarios of a revision, and returns where its results are. */
async function suite(name, revision, url) {
  const results = path.join(work, name);
  const command = path.join(packages, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
  const { ended, output } = start(name, globalThis.process.execPath, command, "server", "--url", url, "--requirements", revision, "-o", results);
  await ended;
  if (!output().includes("=== SUMMARY ===")) throw new Error(`the suite did not end:\n${output().slice(-2000)}`);
  return results;
}

let failed = true;
try {
  const [alone, behind] = await Promise.all([fixtures("alone"), fixtures("behind")]);
  const through = await gateway(behind);
  const legs = await Promise.all(
    LEGS.map(async ({ revision, server }) => {
      const [direct, gated] = await Promise.all([
        suite(`${revision}-direct`, revision, `${alone}/${server}`),
        suite(`${revision}-gateway`, revision, `${through}/mcp/${server}`),
      ]);
      return { revision, direct, gated };
    }),
  );
  failed = compare(legs, path.join(here, "expected.txt"), options.includes("--show"));
} finally {
  for (const process of processes) process.kill();
  if (failed) console.log(`logs and results: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
