// flow.mjs WORKFLOWS AT_ONCE: what local_flow.c measures, on the local runner of AWS's SDK for JavaScript: workflows of one
// callback each, AT_ONCE at a time, each callback answered as soon as it is there. Prints one line of JSON.
import { withDurableExecution } from "@aws/durable-execution-sdk-js";
import { LocalDurableTestRunner, WaitingOperationStatus } from "@aws/durable-execution-sdk-js-testing";

const [workflows, atOnce] = process.argv.slice(2).map(Number);
const sent = new Map(), latency = [];
const handler = withDurableExecution(async (input, context) => {
  const begun = performance.now();
  if (sent.has(input.n))
    latency.push(begun - sent.get(input.n));
  const [result] = await context.createCallback("answer");
  return await result;
});

async function one(n) {
  const runner = new LocalDurableTestRunner({ handlerFunction: handler });
  const callback = runner.getOperation("answer");
  const end = runner.run({ payload: { n } });
  await callback.waitForData(WaitingOperationStatus.STARTED);
  sent.set(n, performance.now());
  await callback.sendCallbackSuccess("\"done\"");
  const execution = await end;
  if (execution.getStatus() !== "SUCCEEDED")
    throw new Error(`workflow ${n}: ${execution.getStatus()}`);
}

await LocalDurableTestRunner.setupTestEnvironment({ skipTime: false });
let next = 0;
const begun = performance.now(), cpu = process.cpuUsage();
await Promise.all(Array.from({ length: atOnce }, async () => {
  while (next < workflows)
    await one(next++);
}));
const seconds = (performance.now() - begun) / 1000, used = process.cpuUsage(cpu);
latency.sort((a, b) => a - b);
console.log(JSON.stringify({ rate: workflows / seconds, median_ms: latency[Math.floor(latency.length / 2)],
  most_ms: latency[Math.floor(latency.length * 0.95)], cpu_ms: (used.user + used.system) / 1000 / workflows }));
await LocalDurableTestRunner.teardownTestEnvironment();
process.exit(0);
