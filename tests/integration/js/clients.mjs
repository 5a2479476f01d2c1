// clients.mjs URL: the AWS SDK for JavaScript's clients of Lambda and ECS, unmodified, against local-aws: every operation
// that it emulates, and the typed exceptions of their models. Exit status 1, and a line for what is not as it should be.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
const require = createRequire(`${process.env.PEERS}/package.json`);
const L = require("@aws-sdk/client-lambda");
const E = require("@aws-sdk/client-ecs");

const options = { endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1,
  credentials: { accessKeyId: "test", secretAccessKey: "secret" } };
const lambda = new L.LambdaClient(options), ecs = new E.ECSClient(options);
const stranger = new L.LambdaClient({ ...options, credentials: { accessKeyId: "test", secretAccessKey: "wrong" } });
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function until(what, ask) {
  for (const end = Date.now() + 60000; Date.now() < end; await sleep(30)) {
    const found = await ask();
    if (found) return found;
  }
  throw new Error(`no ${what}`);
}

/* The call must fail with the exception class (or, where the model has none, the name). */
async function refuses(promise, exception, status = 400) {
  const e = await promise.then(() => null, (error) => error);
  assert.ok(e, "it was accepted");
  if (typeof exception === "string") assert.equal(e.name, exception);
  else assert.ok(e instanceof exception, `${e.name}: ${e.message} is no ${exception.name}`);
  assert.equal(e.$metadata.httpStatusCode, status, e.name);
  return e;
}

const invoke = (FunctionName, more = {}) => lambda.send(new L.InvokeCommand({ FunctionName, InvocationType: "Event", Payload: "{}", ...more }));
const text = (payload) => Buffer.from(payload ?? []).toString();
const get = (DurableExecutionArn) => lambda.send(new L.GetDurableExecutionCommand({ DurableExecutionArn }));
const events = async (DurableExecutionArn, more) =>
  lambda.send(new L.GetDurableExecutionHistoryCommand({ DurableExecutionArn, IncludeExecutionData: true, ...more }));
const callbackOf = (arn) => until("callback", async () => {
  const found = (await events(arn)).Events.find((e) => e.EventType === "CallbackStarted");
  return found?.CallbackStartedDetails.CallbackId;
});
const NOBODY = "arn:aws:lambda:us-east-1:123456789012:function:js-echo:1/durable-execution/a/b";

const tests = {
  async "Invoke: types, names, data"() {
    const sync = await invoke("js-echo:1", { InvocationType: "RequestResponse", Payload: '{"x":1}' });
    assert.equal(text(sync.Payload), '{"x":1}');
    assert.equal(sync.ExecutedVersion, "1");
    assert.match(sync.DurableExecutionArn, /function:js-echo:1\/durable-execution\//);
    const failed = await invoke("js-fail:1", { InvocationType: "RequestResponse" });
    assert.equal(failed.FunctionError, "Unhandled");
    assert.equal(JSON.parse(text(failed.Payload)).errorMessage, "as asked");
    assert.equal((await invoke("js-echo:1", { InvocationType: "DryRun" })).StatusCode, 204);
    const name = `n-${randomUUID()}`;
    const first = await invoke("js-echo:live", { DurableExecutionName: name, Payload: "[1]" });
    const second = await invoke("js-echo:1", { DurableExecutionName: name, Payload: "[1]" });
    assert.equal(first.DurableExecutionArn, second.DurableExecutionArn);
    await refuses(invoke("js-echo:1", { DurableExecutionName: name, Payload: "[2]" }), L.DurableExecutionAlreadyStartedException, 409);
    const qualified = await invoke("arn:aws:lambda:us-east-1:123456789012:function:js-echo", { Qualifier: "live" });
    assert.equal(qualified.StatusCode, 202);
  },
  async "Invoke: what it refuses"() {
    await refuses(invoke("js-echo"), L.InvalidParameterValueException);
    await refuses(invoke("js-nobody:1"), L.ResourceNotFoundException, 404);
    await refuses(invoke("js-echo:9"), L.ResourceNotFoundException, 404);
    await refuses(invoke("js-echo:1", { Payload: "{" }), L.InvalidRequestContentException);
    await refuses(invoke("js-echo:1", { Payload: `"${"x".repeat(1048576)}"` }), L.RequestTooLargeException, 413);
    await refuses(invoke("js-echo:1", { DurableExecutionName: "a b" }), "ValidationException");
    await refuses(stranger.send(new L.InvokeCommand({ FunctionName: "js-echo:1" })), "InvalidSignatureException", 403);
  },
  async "executions: get, list, history, stop"() {
    const a = (await invoke("js-callback:1", { DurableExecutionName: `a-${randomUUID()}` })).DurableExecutionArn;
    const b = (await invoke("js-callback:1", { Payload: '{"n":2}' })).DurableExecutionArn;
    const running = await get(a);
    assert.equal(running.Status, "RUNNING");
    assert.ok(running.StartTimestamp instanceof Date && Math.abs(running.StartTimestamp - Date.now()) < 60000);
    assert.equal(running.InputPayload, "{}");
    await callbackOf(a);
    const list = (more) => lambda.send(new L.ListDurableExecutionsByFunctionCommand({ FunctionName: "js-callback", Qualifier: "1", ...more }));
    const found = [];
    for (let Marker, first = true; first || Marker; first = false) {
      const page = await list({ MaxItems: 1, Marker, Statuses: ["RUNNING", "FAILED"], StartedAfter: new Date(running.StartTimestamp - 1) });
      assert.ok(page.DurableExecutions.length <= 1);
      found.push(...page.DurableExecutions.map((x) => x.DurableExecutionArn));
      Marker = page.NextMarker;
    }
    assert.deepEqual(found, [a, b], "oldest first");
    const back = await list({ ReverseOrder: true, MaxItems: 2 });
    assert.deepEqual(back.DurableExecutions.map((x) => x.DurableExecutionArn), [b, a]);
    const named = await list({ DurableExecutionName: running.DurableExecutionName });
    assert.equal(named.DurableExecutions.length, 1);
    assert.equal((await list({ Statuses: ["STOPPED"], StartedAfter: running.StartTimestamp })).DurableExecutions.length, 0);
    assert.equal((await list({ StartedBefore: new Date(running.StartTimestamp - 3600000) })).DurableExecutions.length, 0);
    assert.equal((await list({ Qualifier: undefined })).DurableExecutions.length, 0, "$LATEST alone");

    await until("suspension", async () => (await events(a)).Events.length >= 3);
    const all = (await events(a)).Events, types = all.map((e) => e.EventType);
    assert.deepEqual(types, ["ExecutionStarted", "CallbackStarted", "InvocationCompleted"]);
    assert.ok(all[0].EventTimestamp instanceof Date);
    assert.equal(all[0].ExecutionStartedDetails.Input.Payload, "{}");
    const reverse = await events(a, { ReverseOrder: true, MaxItems: 2 });
    assert.deepEqual(reverse.Events.map((e) => e.EventId), [3, 2]);
    const rest = await events(a, { ReverseOrder: true, MaxItems: 2, Marker: reverse.NextMarker });
    assert.deepEqual(rest.Events.map((e) => e.EventId), [1]);
    assert.equal(rest.NextMarker, undefined);
    const bare = await events(a, { IncludeExecutionData: false });
    assert.deepEqual(bare.Events[0].ExecutionStartedDetails.Input, { Truncated: true });

    const stopped = await lambda.send(new L.StopDurableExecutionCommand({ DurableExecutionArn: a, Error: { ErrorType: "T", ErrorMessage: "m" } }));
    assert.ok(stopped.StopTimestamp instanceof Date);
    const after = await get(a);
    assert.equal(after.Status, "STOPPED");
    assert.deepEqual({ ...after.Error }, { ErrorType: "T", ErrorMessage: "m" });
    assert.ok(after.EndTimestamp >= after.StartTimestamp);
    await lambda.send(new L.StopDurableExecutionCommand({ DurableExecutionArn: b }));
    await refuses(get(NOBODY), L.ResourceNotFoundException, 404);
    await refuses(events(NOBODY), L.ResourceNotFoundException, 404);
    await refuses(lambda.send(new L.StopDurableExecutionCommand({ DurableExecutionArn: NOBODY })), L.ResourceNotFoundException, 404);
    await refuses(lambda.send(new L.ListDurableExecutionsByFunctionCommand({ FunctionName: "js-nobody" })), L.ResourceNotFoundException, 404);
    await refuses(get("x"), "ValidationException");
  },
  async "checkpoints from outside"() {
    const token = "YWJj", call = { DurableExecutionArn: NOBODY, CheckpointToken: token };
    const e = await refuses(lambda.send(new L.CheckpointDurableExecutionCommand({ ...call, Updates: [] })), L.InvalidParameterValueException);
    assert.match(e.message, /^Invalid checkpoint token/);
    await refuses(lambda.send(new L.GetDurableExecutionStateCommand(call)), L.InvalidParameterValueException);
  },
  async "callbacks"() {
    const arn = (await invoke("js-callback:1")).DurableExecutionArn;
    const CallbackId = await callbackOf(arn);
    await lambda.send(new L.SendDurableExecutionCallbackHeartbeatCommand({ CallbackId }));
    await lambda.send(new L.SendDurableExecutionCallbackSuccessCommand({ CallbackId, Result: Buffer.from("7") }));
    await refuses(lambda.send(new L.SendDurableExecutionCallbackSuccessCommand({ CallbackId, Result: Buffer.from("8") })), L.CallbackTimeoutException);
    await refuses(lambda.send(new L.SendDurableExecutionCallbackFailureCommand({ CallbackId })), L.CallbackTimeoutException);
    await refuses(lambda.send(new L.SendDurableExecutionCallbackHeartbeatCommand({ CallbackId })), L.CallbackTimeoutException);
    await refuses(lambda.send(new L.SendDurableExecutionCallbackHeartbeatCommand({ CallbackId: "YWJj" })), L.InvalidParameterValueException);
    const end = await until("end", async () => { const x = await get(arn); return x.Status === "RUNNING" ? null : x; });
    assert.equal(end.Result, '"7"');
  },
  async "RunTask, DescribeTasks, ListTasks, StopTask"() {
    const task = (command, more) => ecs.send(new E.RunTaskCommand({ cluster: "local", taskDefinition: "job", launchType: "FARGATE",
      networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-1"] } },
      overrides: { containerOverrides: [{ name: "job", command, environment: [{ name: "WORD", value: "x" }] }] }, ...more }));
    const describe = async (...tasks) => ecs.send(new E.DescribeTasksCommand({ cluster: "local", tasks, include: ["TAGS"] }));
    const stateOf = async (arn) => (await describe(arn)).tasks[0];
    const startedBy = `js/${randomUUID()}`;
    const exits = (await task(["sh", "-c", '[ "$WORD" = x ] && exit 4'], { startedBy, tags: [{ key: "k", value: "v" }] })).tasks[0];
    const ended = await until("end", async () => { const t = await stateOf(exits.taskArn); return t.lastStatus === "STOPPED" ? t : null; });
    assert.equal(ended.containers[0].exitCode, 4);
    assert.equal(ended.stopCode, "EssentialContainerExited");
    assert.ok(ended.createdAt instanceof Date && ended.createdAt <= ended.startedAt && ended.startedAt <= ended.stoppedAt);
    assert.deepEqual(ended.tags.map((t) => ({ ...t })), [{ key: "k", value: "v" }]);

    const clientToken = randomUUID();
    const two = await task(["sleep", "60"], { startedBy, clientToken, count: 2 });
    assert.equal(two.tasks.length, 2);
    const again = await task(["sleep", "60"], { startedBy, clientToken, count: 2 });
    assert.deepEqual(again.tasks.map((t) => t.taskArn), two.tasks.map((t) => t.taskArn));
    const conflict = await refuses(task(["sleep", "61"], { startedBy, clientToken, count: 2 }), E.ConflictException);
    assert.deepEqual([...conflict.resourceIds].sort(), two.tasks.map((t) => t.taskArn).sort());
    const list = async (more) => (await ecs.send(new E.ListTasksCommand({ cluster: "local", startedBy, ...more })));
    const first = await list({ maxResults: 1 }), second = await list({ maxResults: 1, nextToken: first.nextToken });
    assert.deepEqual([...first.taskArns, ...second.taskArns], two.tasks.map((t) => t.taskArn));
    assert.deepEqual((await list({ desiredStatus: "STOPPED" })).taskArns, [exits.taskArn]);
    assert.deepEqual((await list({ family: "other" })).taskArns, []);
    for (const t of two.tasks) await until("run", async () => (await stateOf(t.taskArn)).lastStatus === "RUNNING");
    for (const t of two.tasks) {
      const stopping = (await ecs.send(new E.StopTaskCommand({ cluster: "local", task: t.taskArn, reason: "enough" }))).task;
      assert.equal(stopping.desiredStatus, "STOPPED");
    }
    const stopped = await until("stop", async () => { const t = await stateOf(two.tasks[0].taskArn); return t.lastStatus === "STOPPED" ? t : null; });
    assert.equal(stopped.stopCode, "UserInitiated");
    assert.equal(stopped.stoppedReason, "enough");
    assert.equal((await describe("0".repeat(32))).failures[0].reason, "MISSING");

    await refuses(task(["true"], { cluster: "nowhere" }), E.ClusterNotFoundException);
    await refuses(task(["true"], { taskDefinition: "nothing" }), E.ClientException);
    await refuses(task(["true"], { count: 11 }), E.InvalidParameterException);
    await refuses(task(["true"], { startedBy: "a b" }), E.InvalidParameterException);
    await refuses(task(["x".repeat(8192)]), E.InvalidParameterException);
    await refuses(ecs.send(new E.StopTaskCommand({ cluster: "local", task: "no" })), E.InvalidParameterException);
    await refuses(new E.ECSClient({ ...options, credentials: { accessKeyId: "nobody", secretAccessKey: "x" } })
      .send(new E.ListTasksCommand({})), "UnrecognizedClientException");
  },
  async "orders for faults"() {
    const order = (fault) => fetch(`${process.argv[2]}/_local/faults`, { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify(fault) });
    await order({ operation: "GetDurableExecution", action: "error", status: 429, code: "TooManyRequestsException", message: "Rate exceeded",
      retryAfterSeconds: 3 });
    const e = await refuses(get(NOBODY), L.TooManyRequestsException, 429);
    assert.equal(e.retryAfterSeconds, "3");
    await order({ operation: "GetDurableExecution", action: "error", status: 500, code: "ServiceException" });
    await refuses(get(NOBODY), L.ServiceException, 500);
    await order({ operation: "RunTask", action: "task", outcome: "no-capacity" });
    const full = await ecs.send(new E.RunTaskCommand({ cluster: "local", taskDefinition: "job" }));
    assert.equal(full.tasks.length, 0);
    assert.match(full.failures[0].reason, /Capacity is unavailable/);
  },
};

let bad = 0;
for (const [name, test] of Object.entries(tests)) {
  await test().catch((e) => { bad += 1; console.log(`${name}: ${e.stack.split("\n").slice(0, 12).join("\n    ")}`); });
}
console.log(`${Object.keys(tests).length - bad} of ${Object.keys(tests).length} parts hold with the clients of the AWS SDK for JavaScript`);
process.exit(bad ? 1 : 0);
