// Functions written with AWS's durable-execution SDK for JavaScript, behind a small Runtime API loop. _HANDLER names
// the one that this process serves.
import http from "node:http";
import { StepSemantics, withDurableExecution } from "@aws/durable-execution-sdk-js";
import { ECSClient, RunTaskCommand } from "@aws-sdk/client-ecs";

const soon = { retryStrategy: (error, attempt) => ({ shouldRetry: attempt < 3, delay: { seconds: 1 } }) };
const never = { retryStrategy: () => ({ shouldRetry: false }) };

class Unlucky extends Error {
  name = "Unlucky";
}

/* Runs a container that ends with the callback's answer: it needs no credentials, a program does that for it. */
async function runTask(command, startedBy) {
  const answer = await new ECSClient({}).send(new RunTaskCommand({
    cluster: "local", taskDefinition: "job", startedBy,
    overrides: { containerOverrides: [{ name: "job", command }] },
  }));
  return answer.tasks[0].taskArn;
}

const handlers = {
  "step-retry": async (event, context) =>
    context.step("flaky", async (step) => {
      const attempt = step.attempt ?? context.attempts++;
      if (attempt < 2) throw new Unlucky("not yet");
      return { attempt };
    }, soon),
  "step-fails": async (event, context) =>
    context.step("hopeless", async () => { throw new Unlucky("never"); }, never),
  "wait": async (event, context) => {
    await context.wait("pause", { seconds: 1 });
    return "waited";
  },
  "callback": async (event, context) => {
    const [answer] = await context.createCallback("ask", event.options);
    return answer;
  },
  "wait-for-callback": async (event, context) =>
    context.waitForCallback("approval", async (id) => { console.log(`submitted ${id.length > 0}`); }, event.options),
  "wait-for-condition": async (event, context) =>
    context.waitForCondition("poll", async (n) => n + 1, {
      initialState: 0,
      waitStrategy: (n) => (n >= 3 ? { shouldContinue: false } : { shouldContinue: true, delay: { seconds: 1 } }),
    }),
  "child": async (event, context) =>
    context.runInChildContext("group", async (child) => {
      const a = await child.step("a", async () => 1);
      await child.wait("breath", { seconds: 1 });
      return a + (await child.step("b", async () => 2));
    }),
  "child-fails": async (event, context) =>
    context.runInChildContext("group", async (child) => child.step("bad", async () => { throw new Unlucky("no"); }, never)),
  "parallel": async (event, context) => {
    const all = await context.parallel("both", [
      { name: "left", func: async (c) => c.step("l", async () => "left") },
      { name: "right", func: async (c) => { await c.wait({ seconds: 1 }); return "right"; } },
    ]);
    return all.getResults();
  },
  "map": async (event, context) => {
    const all = await context.map("squares", [1, 2, 3], async (c, n) => c.step("square", async () => n * n), { maxConcurrency: 2 });
    return all.getResults();
  },
  "invoke": async (event, context) => context.invoke("call", event.target, event.payload),
  "large": async (event, context) => {
    const text = await context.runInChildContext("big", async (child) => {
      const half = await child.step("half", async () => "x".repeat(150000));
      return half + half;
    });
    await context.wait({ seconds: 1 });
    return text.length;
  },
  "crash": async (event, context) =>
    context.step("at most once", async () => {
      if (!(await attempted(context))) process.exit(3);
      return "recovered";
    }, { ...soon, semantics: StepSemantics.AtMostOncePerRetry }),
  "echo": async (event) => event,
  "fail": async () => { throw new Unlucky("as asked"); },
  "evil": async (event, context) => context.step(event.name, async () => event.text),
  "order": async (event, context) => {
    const order = await context.step("read order", async () => ({ id: event.order, items: 3, total: 84.5 }));
    const checks = await context.parallel("checks", [
      { name: "stock", func: async (c) => { await c.step("reserve items", async () => true); await c.wait("settle", { seconds: 1 }); return true; } },
      { name: "payment", func: async (c) => c.step("charge card", async (step) => {
        await new Promise((done) => { setTimeout(done, 250); });
        if (context.executionContext && !(await attempted(context))) throw new Unlucky("card service is busy");
        return "paid";
      }, soon) },
    ]);
    const render = await context.runInChildContext("render invoice", async (child) => {
      const id = context.executionContext.durableExecutionArn.split("/").at(-1);
      await child.step("start container", async () => runTask(["sh", "-c", "sleep 2"], `durable/${id}`));
      return child.waitForCallback("container reports", async () => {});
    });
    const approved = await context.waitForCallback("manager approves", async () => {}, { timeout: { hours: 4 } });
    const shipped = await context.invoke("ship", "js-echo:1", { order: order.id });
    return { order: order.id, checks: checks.getResults(), render, approved, shipped };
  },
};

/* Whether this was tried before: in the folder that all processes of a test share. */
async function attempted(context) {
  const { mkdir } = await import("node:fs/promises");
  const id = context.executionContext.durableExecutionArn.split("/").at(-1);
  try {
    await mkdir(`${process.env.MEMORY}/${id}`);
    return false;
  } catch {
    return true;
  }
}

const handler = withDurableExecution(handlers[process.env._HANDLER]);
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}`,
      headers: body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) } },
    (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

for (;;) {
  const next = await call("GET", "next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  const deadline = Number(next.headers["lambda-runtime-deadline-ms"]);
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const answer = await handler(JSON.parse(next.text), context);
    await call("POST", `${id}/response`, JSON.stringify(answer));
  } catch (error) {
    await call("POST", `${id}/error`, JSON.stringify({ errorMessage: error.message, errorType: error.name }));
  }
}
