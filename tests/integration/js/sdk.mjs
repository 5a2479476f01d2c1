// sdk.mjs URL: every operation of AWS's durable-execution SDK for JavaScript on local-aws: each function of
// functions.mjs must end as it does on AWS, and its history must say so. Exit status 1, and a line for each that does not.
import { createRequire } from "node:module";
const require = createRequire(`${process.env.PEERS}/package.json`);
const L = require("@aws-sdk/client-lambda");

const client = new L.LambdaClient({ endpoint: process.argv[2], region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "secret" } });
const PATIENCE_MS = 90000;
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function begin(name, input) {
  const answer = await client.send(new L.InvokeCommand({ FunctionName: `js-${name}:1`, InvocationType: "Event",
    Payload: JSON.stringify(input ?? {}) }));
  return answer.DurableExecutionArn;
}

async function history(arn) {
  const events = [];
  let Marker;
  do {
    const page = await client.send(new L.GetDurableExecutionHistoryCommand({ DurableExecutionArn: arn, IncludeExecutionData: true, Marker }));
    events.push(...page.Events);
    Marker = page.NextMarker;
  } while (Marker);
  return events;
}

async function until(what, ask) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50)) {
    const found = await ask();
    if (found) return found;
  }
  throw new Error(`no ${what} after ${PATIENCE_MS} ms`);
}

const callbackOf = (arn) => until("callback", async () =>
  (await history(arn)).find((e) => e.EventType === "CallbackStarted")?.CallbackStartedDetails.CallbackId);
/* The function has suspended: what it waits for has begun, and an invocation has ended after that. */
const suspended = (arn) => until("suspension", async () => (await history(arn)).some((e) => e.EventType === "InvocationCompleted"));
const succeed = async (arn) => { const CallbackId = await callbackOf(arn); await suspended(arn);
  await client.send(new L.SendDurableExecutionCallbackSuccessCommand({ CallbackId, Result: Buffer.from('"yes"') })); };
const fail = async (arn) => { const CallbackId = await callbackOf(arn); await suspended(arn);
  await client.send(new L.SendDurableExecutionCallbackFailureCommand({ CallbackId, Error: { ErrorType: "Refused", ErrorMessage: "no" } })); };
const heartbeat = async (arn) => { const CallbackId = await callbackOf(arn);
  await client.send(new L.SendDurableExecutionCallbackHeartbeatCommand({ CallbackId })); await succeed(arn); };

const I = "InvocationCompleted", OK = "ExecutionSucceeded", BAD = "ExecutionFailed";
const CASES = [
  { name: "step-retry", result: { attempt: 2 }, events: ["StepStarted", "StepFailed", I, "StepStarted", "StepSucceeded", I, OK] },
  { name: "step-fails", error: "StepError", events: ["StepStarted", "StepFailed", I, BAD] },
  { name: "wait", result: "waited", events: ["WaitStarted", I, "WaitSucceeded", I, OK] },
  { name: "callback", act: succeed, result: '"yes"', events: ["CallbackStarted", I, "CallbackSucceeded", I, OK] },
  { name: "callback", act: fail, error: "CallbackExternalError", events: ["CallbackStarted", I, "CallbackFailed", I, BAD] },
  { name: "callback", input: { options: { timeout: { seconds: 1 } } }, error: "CallbackTimeoutError",
    events: ["CallbackStarted", I, "CallbackTimedOut", I, BAD] },
  { name: "callback", input: { options: { heartbeatTimeout: { seconds: 1 } } }, error: "CallbackTimeoutError",
    events: ["CallbackStarted", I, "CallbackTimedOut", I, BAD] },
  { name: "wait-for-callback", act: succeed, result: '"yes"',
    events: ["ContextStarted", "CallbackStarted", "StepStarted", "StepSucceeded", I, "CallbackSucceeded", "ContextSucceeded", I, OK] },
  { name: "wait-for-callback", act: heartbeat, input: { options: { heartbeatTimeout: { seconds: 30 } } }, result: '"yes"',
    events: ["ContextStarted", "CallbackStarted", "StepStarted", "StepSucceeded", I, "CallbackSucceeded", "ContextSucceeded", I, OK] },
  { name: "wait-for-callback", act: fail, error: "CallbackExternalError",
    events: ["ContextStarted", "CallbackStarted", "StepStarted", "StepSucceeded", I, "CallbackFailed", "ContextFailed", I, BAD] },
  { name: "wait-for-callback", input: { options: { timeout: { seconds: 1 } } }, error: "CallbackTimeoutError",
    events: ["ContextStarted", "CallbackStarted", "StepStarted", "StepSucceeded", I, "CallbackTimedOut", "ContextFailed", I, BAD] },
  { name: "wait-for-condition", result: 3, events: ["StepStarted", "StepSucceeded", I, "StepStarted", "StepSucceeded", I, "StepStarted",
    "StepSucceeded", I, OK] },
  { name: "child", result: 3, events: ["ContextStarted", "StepStarted", "StepSucceeded", "WaitStarted", I, "WaitSucceeded", "StepStarted",
    "StepSucceeded", "ContextSucceeded", I, OK] },
  { name: "child-fails", error: "StepError|ChildContextError", events: ["ContextStarted", "StepStarted", "StepFailed", "ContextFailed", I, BAD] },
  { name: "parallel", result: ["left", "right"], sorted: true, events: ["ContextStarted", "ContextStarted", "ContextStarted", "StepStarted", "StepSucceeded",
    "ContextSucceeded", "WaitStarted", I, "WaitSucceeded", "ContextSucceeded", "ContextSucceeded", I, OK] },
  { name: "map", result: [1, 4, 9], sorted: true, events: ["ContextStarted", ...Array(3).fill(["ContextStarted", "StepStarted", "StepSucceeded",
    "ContextSucceeded"]).flat(), "ContextSucceeded", I, OK] },
  { name: "invoke", input: { target: "js-wait:1", payload: {} }, result: "waited",
    events: ["ChainedInvokeStarted", I, "ChainedInvokeSucceeded", I, OK] },
  { name: "invoke", input: { target: "js-fail:1", payload: {} }, error: "InvokeError", events: null },
  { name: "invoke", input: { target: "js-nobody:1", payload: {} }, error: "InvokeError",
    events: ["ChainedInvokeStarted", "ChainedInvokeFailed", I, BAD] },
  { name: "large", result: 300000, events: null },
  { name: "crash", result: "recovered", events: ["StepStarted", I, "StepFailed", I, "StepStarted", "StepSucceeded", I, OK] },
];

/* EventIds without gaps, operations under contexts that have begun, nothing behind an end. */
function rules(events) {
  const ended = new Set(), contexts = new Set();
  events.forEach((e, i) => {
    if (e.EventId !== i + 1) throw new Error(`event ${e.EventId} is number ${i + 1}`);
    if (e.ParentId && !contexts.has(e.ParentId)) throw new Error(`event ${e.EventId}: no context ${e.ParentId}`);
    if (e.Id && ended.has(e.Id)) throw new Error(`event ${e.EventId} is behind the end of ${e.Id}`);
    const details = e[`${e.EventType}Details`];
    if (!details) throw new Error(`event ${e.EventId}: no details`);
    if (e.EventType === "ContextStarted") contexts.add(e.Id);
    if (/(Succeeded|Failed|TimedOut|Stopped|Cancelled)$/.test(e.EventType) && !details.RetryDetails?.NextAttemptDelaySeconds) ended.add(e.Id);
  });
}

async function check(c) {
  const arn = await begin(c.name, c.input);
  if (c.act) await c.act(arn);
  const x = await until("end", async () => {
    const found = await client.send(new L.GetDurableExecutionCommand({ DurableExecutionArn: arn }));
    return found.Status === "RUNNING" ? null : found;
  });
  const events = await history(arn);
  rules(events);
  const status = c.error ? "FAILED" : "SUCCEEDED";
  if (x.Status !== status) throw new Error(`${x.Status} ${JSON.stringify(x.Error)}, not ${status}`);
  if (!c.error && x.Result !== JSON.stringify(c.result)) throw new Error(`result ${x.Result}, not ${JSON.stringify(c.result)}`);
  if (c.error && !c.error.split("|").includes(x.Error.ErrorType)) throw new Error(`error ${JSON.stringify(x.Error)}, not ${c.error}`);
  if (!c.events) return;
  const order = (list) => (c.sorted ? [...list].sort() : list).join(" ");
  const found = order(events.slice(1).map((e) => e.EventType));
  if (found !== order(c.events)) throw Object.assign(new Error(`history ${found}\n      not     ${order(c.events)}`), { again: true });
}

/* Where the machine is slow, what the function waits for (a second, mostly) may be over before it has suspended: that is
   another history, and a right one. Such a case is tried again, the whole of it. */
async function checkPatiently(c) {
  for (let tries = 5; ; tries -= 1) {
    try {
      return await check(c);
    } catch (e) {
      if (!e.again || tries === 1) throw e;
    }
  }
}

const results = await Promise.allSettled(CASES.map(checkPatiently));
results.forEach((r, i) => { if (r.status === "rejected") console.log(`${CASES[i].name} ${JSON.stringify(CASES[i].input ?? {})}: ${r.reason.message}`); });
const bad = results.filter((r) => r.status === "rejected").length;
console.log(`${results.length - bad} of ${results.length} workflows of the SDK for JavaScript end as on AWS`);
process.exit(bad ? 1 : 0);
