// A Lambda runtime as small as can be: asks for work, calls the handler, answers.
import http from "node:http";
import { handler } from "./workflow.mjs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method,
      path: `/2018-06-01/runtime/invocation/${path}`,
      headers: body ? { "content-type": "application/json",
                        "content-length": Buffer.byteLength(body) } : {} }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers,
                                         text: Buffer.concat(parts).toString() }));
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
    invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const answer = await handler(JSON.parse(next.text), context);
    await call("POST", `${id}/response`, JSON.stringify(answer));
  } catch (error) {
    console.error(error);
    await call("POST", `${id}/error`,
               JSON.stringify({ errorMessage: error.message, errorType: error.name }));
  }
}
