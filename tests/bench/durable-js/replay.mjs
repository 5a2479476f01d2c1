// replay.mjs FILE N ROUNDS: what durable_replay.c measures, with AWS's SDK for JavaScript: the processor time of
// each round in ms and the growth of the peak of memory in KiB.
import { readFileSync } from "node:fs";
import { withDurableExecution } from "@aws/durable-execution-sdk-js";

const [file, n, rounds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
process.env.AWS_REGION ??= "us-east-1";
const text = readFileSync(file, "utf8");
const handler = withDurableExecution(async (input, context) => {
  let sum = 0;
  for (let i = 1; i <= input.n; i++) {
    const value = await context.step(`step-${i}`, async () => {
      throw new Error("a step that is recorded has run");
    });
    sum += value.id;
  }
  return sum;
});
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
const before = peak();
for (let i = 0; i < rounds; i++) {
  const start = process.cpuUsage();
  const answer = await handler(JSON.parse(text), {
    awsRequestId: "r", getRemainingTimeInMillis: () => 60000, functionVersion: "1",
    invokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:fn:1",
  });
  const used = process.cpuUsage(start);
  if (answer.Status !== "SUCCEEDED" || answer.Result !== String((n * (n + 1)) / 2))
    throw new Error(JSON.stringify(answer));
  console.log(((used.user + used.system) / 1000).toFixed(3));
}
console.log(`peak ${peak() - before}`);
process.exit(0);
