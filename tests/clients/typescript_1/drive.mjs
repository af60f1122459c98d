// The official TypeScript SDK 1.32: 2025-11-25 with its experimental tasks, and without.

import assert from "node:assert/strict";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CallToolResultSchema,
  ElicitRequestSchema,
  ErrorCode,
  McpError,
  TaskStatusNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

import { passes } from "./checks.mjs";

const URL_OF_SERVER = new URL(process.argv[2]);
const RELATED_TASK = "io.modelcontextprotocol/related-task";

/** Lets `use` have a client that agrees to everything, with what the server has said on its own. */
async function connected(use) {
  const heard = { questions: [], statuses: [], errors: [] };
  const client = new Client({ name: "driver", version: "1" }, { capabilities: { elicitation: {} } });
  client.onerror = (error) => heard.errors.push(error);
  client.setRequestHandler(ElicitRequestSchema, (request) => {
    heard.questions.push(request.params);
    return { action: "accept", content: { agreed: true } };
  });
  client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
    heard.statuses.push(params.status);
  });
  const transport = new StreamableHTTPClientTransport(URL_OF_SERVER);
  await client.connect(transport);
  try {
    assert.equal(transport.protocolVersion, "2025-11-25");
    await use(client, heard);
    assert.deepEqual(heard.errors, []);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

/** Calls a tool as a task; its id, and all that is told of it until the end. */
async function followed(client, name, args, options = {}) {
  const tasks = client.experimental.tasks;
  const call = { name, arguments: args };
  const messages = [];
  for await (const message of tasks.callToolStream(call, CallToolResultSchema, { task: {}, ...options })) {
    messages.push(message);
  }
  assert.equal(messages[0].type, "taskCreated");
  return { taskId: messages[0].task.taskId, messages, last: messages.at(-1) };
}

await passes({
  "a task is watched to its result": () =>
    connected(async (client) => {
      const { tools } = await client.listTools();
      assert.equal(tools.find((tool) => tool.name === "count").execution.taskSupport, "optional");
      const { taskId, messages, last } = await followed(client, "count", { to: 5 });
      assert.equal(messages[0].task.status, "working");
      assert.deepEqual(last.result?.structuredContent, { last: 5 }, JSON.stringify(last));
      assert.deepEqual(last.result._meta[RELATED_TASK], { taskId });
    }),

  "progress comes with a task": () =>
    connected(async (client) => {
      const progress = [];
      const onprogress = (reported) => progress.push(reported.progress);
      const { last } = await followed(client, "count", { to: 50 }, { onprogress });
      assert.equal(last.type, "result");
      assert.ok(progress.length > 0);
      assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
    }),

  "a task asks": () =>
    connected(async (client, heard) => {
      const { taskId, last } = await followed(client, "reserve", { seats: 2 });
      assert.equal(last.result?.content[0].text, "Reserved 2 seats", JSON.stringify(last));
      assert.equal(heard.questions.length, 1);
      assert.equal(heard.questions[0].message, "Reserve 2 seats?");
      assert.deepEqual(heard.questions[0]._meta[RELATED_TASK], { taskId });
    }),

  "a task is cancelled": () =>
    connected(async (client) => {
      const tasks = client.experimental.tasks;
      for await (const message of tasks.callToolStream({ name: "wait" }, CallToolResultSchema, { task: {} })) {
        if (message.type === "taskCreated") {
          const { taskId } = message.task;
          assert.equal((await tasks.cancelTask(taskId)).status, "cancelled");
          const refused = (error) => error instanceof McpError && error.code === ErrorCode.InvalidParams;
          await assert.rejects(tasks.cancelTask(taskId), refused);
        } else if (message.type === "taskStatus") {
          assert.equal(message.task.status, "cancelled");
        } else {
          assert.match(message.error.message, /was cancelled/);
        }
      }
    }),

  "a task that fails says so": () =>
    connected(async (client) => {
      const { taskId, last } = await followed(client, "fail", {});
      assert.equal(last.type, "error");
      assert.match(last.error.message, /failed/);
      const result = await client.experimental.tasks.getTaskResult(taskId, CallToolResultSchema);
      assert.equal(result.isError, true);
      assert.equal(result.content[0].text, "This always fails");
    }),

  "calls without tasks": () =>
    connected(async (client, heard) => {
      await client.listTools();
      const progress = [];
      const onprogress = (reported) => progress.push(reported.progress);
      const counted = await client.callTool({ name: "count", arguments: { to: 5 } }, undefined, { onprogress });
      assert.deepEqual(counted.structuredContent, { last: 5 });
      assert.deepEqual(progress, [1, 2, 3, 4, 5]);
      const reserved = await client.callTool({ name: "reserve", arguments: { seats: 2 } });
      assert.equal(reserved.content[0].text, "Reserved 2 seats");
      assert.equal(heard.questions.length, 1);
      const failed = await client.callTool({ name: "fail" });
      assert.equal(failed.isError, true);
      assert.equal(failed.content[0].text, "This always fails");
    }),

  "a call without a task is cancelled": () =>
    connected(async (client) => {
      const cancelling = new AbortController();
      const call = client.callTool({ name: "wait" }, undefined, { signal: cancelling.signal });
      cancelling.abort("enough");
      await assert.rejects(call);
    }),
});
