// The launcher's callback flow with AWS's own SDKs: create callback, register the job with the
// receiver, RunTask, wait for the callback. With ATTEMPT_CONTEXT=1 in a child context, as the launcher has one for
// each attempt: then both do the same operations.
import { createCipheriv, createHash, createHmac, hkdfSync } from "node:crypto";
import { ECSClient, RunTaskCommand } from "@aws-sdk/client-ecs";
import { withDurableExecution } from "@aws/durable-execution-sdk-js";

const env = process.env;
const ecs = new ECSClient({});
const [[kid, secret]] = Object.entries(JSON.parse(env.CALLBACK_TOKEN_KEYS));
const derive = (info) => Buffer.from(hkdfSync("sha256", secret, "", info, 32));
const sealKey = derive("callback token v1 seal");
const nonceKey = derive("callback token v1 nonce");
const SCOPE_JOB = 1, SCOPE_LAUNCHER = 2;

function seal(callbackId, scope, expires) {
  const head = Buffer.alloc(9);
  head[0] = scope;
  head.writeBigUInt64BE(BigInt(expires), 1);
  const plain = Buffer.concat([head, Buffer.from(callbackId)]);
  const nonce = createHmac("sha256", nonceKey).update(plain).digest().subarray(0, 12);
  const cipher = createCipheriv("aes-256-gcm", sealKey, nonce);
  cipher.setAAD(Buffer.from(`v1.${kid}`));
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return `v1.${kid}.` + Buffer.concat([nonce, text, cipher.getAuthTag()]).toString("base64url");
}

const publicId = (callbackId) =>
  createHmac("sha256", "callback public id v1").update(callbackId).digest()
    .subarray(0, 18).toString("base64url");

async function register(id, token, body) {
  const answer = await fetch(`${env.CALLBACK_BASE_URL}/v1/callbacks/${id}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok)
    throw new Error(`the receiver answered with status ${answer.status}`);
}

async function runTask(event, arn, environment) {
  const answer = await ecs.send(new RunTaskCommand({
    cluster: env.ECS_CLUSTER,
    taskDefinition: env.TASK_DEFINITION,
    launchType: env.LAUNCH_TYPE,
    count: 1,
    clientToken: createHash("sha256").update(`${arn}\nrun-task`).digest("hex"),
    startedBy: `durable/${arn.split("/").at(-1)}`,
    networkConfiguration: { awsvpcConfiguration: { subnets: [env.SUBNETS] } },
    overrides: {
      containerOverrides: [{
        name: env.CONTAINER_NAME,
        command: event.task.command,
        environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
      }],
    },
  }));
  if (!answer.tasks?.length)
    throw new Error(answer.failures?.[0]?.reason ?? "no task");
  return { taskArn: answer.tasks[0].taskArn };
}

async function attempt(event, context, arn) {
  const [result, callbackId] = await context.createCallback("callback", {
    timeout: { seconds: 3600 },
  });
  const id = publicId(callbackId);
  const expires = 4102444800;
  await context.step("register", () =>
    register(id, seal(callbackId, SCOPE_LAUNCHER, expires), {
      input: event.input ?? null, heartbeatSeconds: 60, workflow: arn.split(":").at(-1), job: "job",
    }));
  await context.step("run-task", () =>
    runTask(event, arn, {
      CALLBACK_URL: `${env.CALLBACK_BASE_URL}/v1/callbacks/${id}`,
      CALLBACK_TOKEN: seal(callbackId, SCOPE_JOB, expires),
      HEARTBEAT_SECONDS: "60", STOP_TIMEOUT_SECONDS: "30", JOB_NAME: "job",
    }));
  return await result;
}

export const handler = withDurableExecution(async (event, context) => {
  const arn = context.executionContext.durableExecutionArn;
  return env.ATTEMPT_CONTEXT
    ? await context.runInChildContext("attempt-1", (child) => attempt(event, child, arn))
    : await attempt(event, context, arn);
});
