// The TypeScript client 2.x. It has no runtime for tasks, so they are driven by requests with schemas of our own:
// those of 2025-11-25 and, declared as an extension, those of 2026-07-28. Calls without tasks are its own.

import assert from "node:assert/strict";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { passes } from "./checks.mjs";

const URL_OF_SERVER = new URL(process.argv[2]);
const EXTENSION = "io.modelcontextprotocol/tasks";
const ELICITATION = { elicitation: { form: {} } };
const LEGACY = { versionNegotiation: { mode: "legacy" }, capabilities: ELICITATION };
const MODERN = { versionNegotiation: { mode: { pin: "2026-07-28" } }, capabilities: ELICITATION };
const EXTENDED = { ...MODERN, capabilities: { ...ELICITATION, extensions: { [EXTENSION]: {} } } };
const ANYTHING = { "~standard": { version: 1, vendor: "driver", validate: (value) => ({ value }) } };

/** Lets `use` have a client that agrees to everything, and what it has been asked. */
async function connected(options, use) {
  const asked = [];
  const client = new Client({ name: "driver", version: "1" }, options);
  client.setRequestHandler("elicitation/create", (request) => {
    asked.push(request.params);
    return { action: "accept", content: { agreed: true } };
  });
  const transport = new StreamableHTTPClientTransport(URL_OF_SERVER);
  await client.connect(transport);
  try {
    await use(client, asked, transport);
  } finally {
    await client.close();
  }
}

const send = (client, method, params) => client.request({ method, params }, ANYTHING);

async function ended(client, taskId) {
  for (;;) {
    const task = await send(client, "tasks/get", { taskId });
    if (["completed", "failed", "cancelled"].includes(task.status)) return task;
    await new Promise((resolve) => setTimeout(resolve, task.pollInterval ?? task.pollIntervalMs));
  }
}

/** The handle that a call was answered with on 2026-07-28. The client refuses it, so it is taken from the wire. */
async function submitted(client, transport, name, args) {
  const { onmessage } = transport;
  let handle;
  transport.onmessage = (message, extra) => {
    if (message.result?.resultType === "task") handle = message.result;
    onmessage(message, extra);
  };
  await assert.rejects(client.callTool({ name, arguments: args }), /Unsupported result type 'task'/);
  transport.onmessage = onmessage;
  return handle;
}

async function callsWithoutTasks(options) {
  await connected(options, async (client, asked) => {
    await client.listTools();
    const progress = [];
    const onprogress = (reported) => progress.push(reported.progress);
    const counted = await client.callTool({ name: "count", arguments: { to: 5 } }, { onprogress });
    assert.deepEqual(counted.structuredContent, { last: 5 });
    assert.deepEqual(progress, [1, 2, 3, 4, 5]);
    const reserved = await client.callTool({ name: "reserve", arguments: { seats: 2 } });
    assert.equal(reserved.content[0].text, "Reserved 2 seats");
    assert.deepEqual(asked.map((question) => question.message), ["Reserve 2 seats?"]);
    const failed = await client.callTool({ name: "fail" });
    assert.equal(failed.isError, true);
    assert.equal(failed.content[0].text, "This always fails");
    const cancelling = new AbortController();
    const call = client.callTool({ name: "wait" }, { signal: cancelling.signal });
    cancelling.abort("enough");
    await assert.rejects(call);
  });
}

await passes({
  "calls without tasks on 2026-07-28": () => callsWithoutTasks(MODERN),
  "calls without tasks on 2025-11-25": () => callsWithoutTasks(LEGACY),

  "a task of 2026-07-28 is watched to its result": () =>
    connected(EXTENDED, async (client, _, transport) => {
      const { taskId, status } = await submitted(client, transport, "count", { to: 5 });
      assert.equal(status, "working");
      const task = await ended(client, taskId);
      assert.deepEqual(task.result.structuredContent, { last: 5 });
      assert.equal(task._meta["tasks-server/progress"].progress, 5);
    }),

  "a task of 2026-07-28 asks": () =>
    connected(EXTENDED, async (client, _, transport) => {
      const { taskId, pollIntervalMs } = await submitted(client, transport, "reserve", { seats: 2 });
      let task;
      do {
        task = await send(client, "tasks/get", { taskId });
        await new Promise((resolve) => setTimeout(resolve, pollIntervalMs));
      } while (task.status === "working");
      const [[key, question]] = Object.entries(task.inputRequests);
      assert.equal(question.params.message, "Reserve 2 seats?");
      const inputResponses = { [key]: { action: "accept", content: { agreed: true } } };
      await send(client, "tasks/update", { taskId, inputResponses });
      assert.equal((await ended(client, taskId)).result.content[0].text, "Reserved 2 seats");
    }),

  "a task of 2026-07-28 is cancelled": () =>
    connected(EXTENDED, async (client, _, transport) => {
      const { taskId } = await submitted(client, transport, "wait", {});
      await send(client, "tasks/cancel", { taskId });
      assert.equal((await ended(client, taskId)).status, "cancelled");
    }),

  "a task of 2025-11-25 is watched to its result": () =>
    connected(LEGACY, async (client, asked) => {
      const { task } = await send(client, "tools/call", { name: "reserve", arguments: { seats: 2 }, task: {} });
      const result = await send(client, "tasks/result", { taskId: task.taskId });
      assert.equal(result.content[0].text, "Reserved 2 seats");
      assert.equal(asked.length, 1);
      assert.equal((await send(client, "tasks/get", { taskId: task.taskId })).status, "completed");
    }),

  "a task of 2025-11-25 is cancelled": () =>
    connected(LEGACY, async (client) => {
      const { task } = await send(client, "tools/call", { name: "wait", arguments: {}, task: {} });
      assert.equal((await send(client, "tasks/cancel", { taskId: task.taskId })).status, "cancelled");
      await assert.rejects(send(client, "tasks/cancel", { taskId: task.taskId }), { code: -32602 });
    }),

  "a task of 2025-11-25 is read on 2026-07-28": () =>
    connected(LEGACY, async (client) => {
      const { task } = await send(client, "tools/call", { name: "fail", arguments: {}, task: {} });
      assert.equal((await ended(client, task.taskId)).status, "failed");
      await connected(EXTENDED, async (newer) => {
        const seen = await ended(newer, task.taskId);
        assert.equal(seen.status, "completed");
        assert.equal(seen.result.isError, true);
      });
    }),
});
