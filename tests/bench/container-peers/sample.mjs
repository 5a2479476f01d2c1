// What AWS's sample does in its container, with the SDK for JavaScript.
import { LambdaClient, SendDurableExecutionCallbackSuccessCommand } from "@aws-sdk/client-lambda";

const started = String(process.hrtime.bigint()); // its work begins here
await new LambdaClient({}).send(new SendDurableExecutionCallbackSuccessCommand({
  CallbackId: process.env.CALLBACK_ID,
  Result: JSON.stringify({ started }),
}));
