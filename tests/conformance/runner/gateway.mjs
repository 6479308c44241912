// Processes that the runner starts, and the gateway above all.
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export const work = mkdtempSync(path.join(tmpdir(), "tollgate-conformance-"));
const processes = [];

export const freePort = () =>
  new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });

/** A process with its output in a file of its name. */
export function start(name, command, ...given) {
  const process = spawn(command, given, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [process.stdout, process.stderr]) stream.on("data", (data) => (output += data));
  const ended = new Promise((end) => process.on("close", end));
  ended.finally(() => writeFileSync(path.join(work, `${name}.log`), output)).catch(() => {});
  processes.push(process);
  return { ended, output: () => output };
}

export async function ready(name, url, process) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer && answer.status < 500) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${name} is not ready; it wrote:\n${process.output()}`);
}

/** A gateway before these servers (names and addresses), and the key of its tenant. */
export async function gateway(here, servers) {
  const key = `test-key-${randomBytes(16).toString("hex")}`;
  const [port, admin] = [await freePort(), await freePort()];
  const values = {
    GATEWAY: `127.0.0.1:${port}`,
    ADMIN: `127.0.0.1:${admin}`,
    DATA: path.join(work, "data"),
    RULES: servers.map(([name]) => `"${name}__*"`).join(", "),
    SERVERS: servers.map(([name, url]) => `  ${name}: { kind: mcp, url: "${url}" }`).join("\n"),
    KEY: createHash("sha256").update(key).digest("hex"),
  };
  const config = readFileSync(path.join(here, "tollgate.yaml"), "utf8").replace(/@([A-Z]+)@/g, (_, name) => values[name]);
  writeFileSync(path.join(work, "tollgate.yaml"), config);
  const process = start("gateway", globalThis.process.env.TOLLGATE_BIN, "serve", "--config", path.join(work, "tollgate.yaml"));
  await ready("gateway", `http://127.0.0.1:${admin}/readyz`, process);
  return { port, address: `http://127.0.0.1:${port}`, key };
}

/** Ends all of them; what they wrote is kept where somebody has to look at it. */
export function stop(keep = false) {
  for (const process of processes) process.kill();
  if (keep) console.log(`logs and results: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
