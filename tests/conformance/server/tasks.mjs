// The extension `io.modelcontextprotocol/tasks` (SEP-2663), which the SDK does not have: calls that go on after their
// answer, and what is asked about them.
import { randomUUID } from "node:crypto";
import { form, pause, said, tool } from "./fixtures.mjs";

const TASKS = "io.modelcontextprotocol/tasks";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const MISSING = { code: -32021, message: "Missing required client capability", data: { requiredCapabilities: { extensions: { [TASKS]: {} } } } };
const sure = form("Really?", { confirm: { type: "boolean" } });
const of = (properties) => ({ type: "object", properties });

/** What a task does: waits, asks, and ends with a result or throws a protocol error. */
const jobs = {
  slow_compute: async ({ seconds = 0, label = "" }) => {
    await pause(seconds * 1000);
    return said(`Computed ${label}.`);
  },
  failing_job: async () => {
    await pause(100);
    return { isError: true, ...said("The job failed.") };
  },
  protocol_error_job: async () => {
    await pause(100);
    throw { code: -32603, message: "The job broke." };
  },
  confirm_delete: async ({ filename }, ask) => {
    const { first } = await ask({ first: sure });
    return said(`${filename}: ${first.action}`);
  },
  multi_input: async (_, ask) => {
    const answers = await ask({ first: sure, second: sure });
    return said(JSON.stringify(answers));
  },
  test_tool_with_task: async (_, ask, given) => {
    await pause(100);
    return said(`Done for ${given.user_name.content?.name}.`);
  },
};
const name = form("Who is it for?", { name: { type: "string" } });

/** As they are called by clients that do not know tasks. */
export const tools = [
  tool("greet", "Greets", (given) => said(`Hello, ${given.name}!`), of({ name: { type: "string" } })),
  tool("slow_compute", "Computes for a while", jobs.slow_compute, of({ seconds: { type: "number" }, label: { type: "string" } })),
  tool("failing_job", "Fails after a while", () => said("Only as a task.")),
  tool("protocol_error_job", "Breaks after a while", () => said("Only as a task.")),
  tool("confirm_delete", "Asks while it runs", () => said("Only as a task."), of({ filename: { type: "string" } })),
  tool("multi_input", "Asks twice while it runs", () => said("Only as a task.")),
  tool("test_tool_with_task", "Asks, then goes on", () => said("Only as a task.")),
];

const tasks = new Map();

function start(job, given, answers) {
  const now = () => new Date().toISOString();
  const task = { taskId: randomUUID(), status: "working", createdAt: now(), lastUpdatedAt: now(), ttlMs: 60_000, pollIntervalMs: 100 };
  const entry = { task, pending: {}, answers: {} };
  const settle = (status, more) => {
    if (task.status === "working" || task.status === "input_required") {
      Object.assign(task, { status, lastUpdatedAt: now(), ...more });
      delete task.inputRequests;
    }
  };
  const ask = (requests) =>
    new Promise((answered) => {
      entry.pending = { ...requests };
      entry.answered = answered;
      Object.assign(task, { status: "input_required", inputRequests: entry.pending });
    });
  entry.update = (responses) => {
    for (const key of Object.keys(responses).filter((key) => key in entry.pending)) {
      entry.answers[key] = responses[key];
      delete entry.pending[key];
    }
    if (task.status === "input_required" && Object.keys(entry.pending).length === 0) {
      task.status = "working";
      delete task.inputRequests;
      entry.answered(entry.answers);
    }
  };
  entry.cancel = () => settle("cancelled", {});
  tasks.set(task.taskId, entry);
  const created = { ...task };
  job(given, ask, answers).then(
    (result) => settle("completed", { result }),
    (error) => settle("failed", { error }),
  );
  return created;
}

/** The answer to what concerns tasks; `undefined`: it does not. */
export function tasked(body, headers) {
  const { id, method, params } = body ?? {};
  const capabilities = params?._meta?.[CAPABILITIES];
  if (id === undefined || !params || !capabilities) return undefined;
  const failed = (error, status = 200) => ({ status, message: { jsonrpc: "2.0", id, error } });
  const result = (value) => ({ status: 200, message: { jsonrpc: "2.0", id, result: value } });
  const known = capabilities.extensions?.[TASKS] !== undefined;
  if (method === "tools/call" && headers["mcp-method"] === method && params.name in jobs) {
    if (!known) return params.name === "failing_job" ? failed(MISSING, 400) : undefined;
    if (params.name === "test_tool_with_task" && !params.inputResponses?.user_name) {
      return result({ resultType: "input_required", inputRequests: { user_name: name } });
    }
    return result({ resultType: "task", ...start(jobs[params.name], params.arguments ?? {}, params.inputResponses) });
  }
  if (!["tasks/get", "tasks/update", "tasks/cancel"].includes(method)) return undefined;
  if (!known) return failed(MISSING, 400);
  if (headers["mcp-name"] !== params.taskId) return failed({ code: -32020, message: "The header Mcp-Name does not agree with the body" }, 400);
  const entry = tasks.get(params.taskId);
  if (!entry) return failed({ code: -32602, message: "Unknown task" });
  if (method === "tasks/get") return result({ resultType: "complete", ...entry.task });
  if (method === "tasks/update") entry.update(params.inputResponses ?? {});
  if (method === "tasks/cancel") entry.cancel();
  return result({ resultType: "complete" });
}
