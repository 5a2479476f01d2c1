// The callback receiver as one would otherwise write it: Fastify, ioredis and the AWS SDK.
//
// A job is registered, its report is checked against its sealed token, kept in Redis together with its
// place in a stream (first report wins, in one script), and only then answered 202. A consumer of the
// stream calls Lambda, many calls at once over connections that are kept, notes the outcome and
// acknowledges the entry. Errors are tried again later. There is no more to it: no heartbeats, no
// liveness, no metrics, no log of requests.
import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { Agent } from 'node:http';
import { LambdaClient, SendDurableExecutionCallbackSuccessCommand } from '@aws-sdk/client-lambda';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import Fastify from 'fastify';
import { Redis } from 'ioredis';

const CONCURRENCY = Number(process.env.DELIVERIES ?? 64);
const [host, port] = (process.env.LISTEN ?? '127.0.0.1:8081').split(':');
const keys = new Map(Object.entries(JSON.parse(process.env.CALLBACK_TOKEN_KEYS)).map(([kid, secret]) =>
  [kid, Buffer.from(hkdfSync('sha256', secret, '', 'callback token v1 seal', 32))]));

const redis = new Redis(process.env.CALLBACK_STORE, { enableAutoPipelining: true });
const reader = redis.duplicate();
const lambda = new LambdaClient({
  maxAttempts: 1,
  requestHandler: new NodeHttpHandler({
    httpAgent: new Agent({ keepAlive: true, maxSockets: CONCURRENCY }),
  }),
});

redis.defineCommand('register', {
  numberOfKeys: 1,
  lua: `local had = redis.call('HGET', KEYS[1], 'sha')
        if had then return had == ARGV[1] and 1 or 2 end
        redis.call('HSET', KEYS[1], 'sha', ARGV[1], 'input', ARGV[2], 'state', 'pending')
        return 0`,
});
redis.defineCommand('report', {
  numberOfKeys: 2,
  lua: `local had = redis.call('HMGET', KEYS[1], 'report', 'state')
        if had[1] then return { had[1] == ARGV[1] and 1 or 2, had[2] } end
        redis.call('HSET', KEYS[1], 'report', ARGV[1], 'body', ARGV[2], 'callback', ARGV[3], 'state', 'accepted')
        redis.call('XADD', KEYS[2], '*', 'key', KEYS[1])
        return { 0, 'accepted' }`,
});

class Refusal extends Error {
  constructor(statusCode, message) {
    super(message);
    this.statusCode = statusCode;
  }
}

// The same tokens: v1.KID.BASE64URL(nonce, ciphertext, tag), AES-256-GCM.
function open(authorization, id, scope) {
  const [version, kid, sealed] = (authorization ?? '').replace(/^Bearer /, '').split('.');
  const key = version === 'v1' ? keys.get(kid) : undefined;
  if (!key || !sealed) throw new Refusal(401, 'A valid token is needed.');
  const bytes = Buffer.from(sealed, 'base64url');
  let plain;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(`${version}.${kid}`));
    decipher.setAuthTag(bytes.subarray(-16));
    plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
  } catch {
    throw new Refusal(401, 'A valid token is needed.');
  }
  if (plain.readBigUInt64BE(1) * 1000n <= BigInt(Date.now())) throw new Refusal(401, 'The token has expired.');
  const callback = plain.subarray(9).toString();
  const own = createHmac('sha256', 'callback public id v1').update(callback).digest()
    .subarray(0, 18).toString('base64url');
  if (own !== id || plain[0] !== scope) throw new Refusal(403, 'The token does not allow this.');
  return callback;
}

const sha = (text) => createHash('sha256').update(text).digest('hex');
const app = Fastify({ bodyLimit: 1 << 20 });
// The body is kept as it came: what is delivered is what was sent.
app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
  try {
    JSON.parse(body);
    done(null, body);
  } catch {
    done(new Refusal(400, 'The body is not JSON.'));
  }
});

app.put('/v1/callbacks/:id', async (request, reply) => {
  open(request.headers.authorization, request.params.id, 2);
  const result = await redis.register(`job:${request.params.id}`, sha(request.body),
    JSON.stringify(JSON.parse(request.body).input ?? null));
  if (result === 2) throw new Refusal(409, 'The callback is registered with other content.');
  return reply.code(result === 0 ? 201 : 200).send({ state: 'pending' });
});

app.post('/v1/callbacks/:id/success', async (request, reply) => {
  const callback = open(request.headers.authorization, request.params.id, 1);
  const [result, state] = await redis.report(`job:${request.params.id}`, 'reports', sha(request.body),
    request.body, callback);
  if (result === 2) throw new Refusal(409, 'Another report came first.');
  return reply.code(state === 'delivered' ? 200 : 202).send({ state });
});

async function deliver(entry, key) {
  const [callback, body] = await redis.hmget(key, 'callback', 'body');
  for (let delay = 100; ; delay = Math.min(delay * 2, 60000)) {
    try {
      await lambda.send(new SendDurableExecutionCallbackSuccessCommand({ CallbackId: callback, Result: body }));
      break;
    } catch (error) {
      if (error.name === 'CallbackTimeoutException' || error.$metadata?.httpStatusCode === 404) break;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
    }
  }
  await redis.multi().hset(key, 'state', 'delivered').xack('reports', 'receivers', entry)
    .xdel('reports', entry).exec();
}

async function consume() {
  const running = new Set();
  await redis.xgroup('CREATE', 'reports', 'receivers', '0', 'MKSTREAM').catch(() => {});
  for (let from = '0'; ;) { // first what a predecessor had taken, then what is new
    const streams = await reader.xreadgroup('GROUP', 'receivers', 'one', 'COUNT', CONCURRENCY - running.size,
      'BLOCK', 1000, 'STREAMS', 'reports', from);
    const entries = streams?.[0][1] ?? [];
    if (entries.length === 0) from = '>';
    for (const [entry, fields] of entries) {
      if (from !== '>') from = entry;
      const task = deliver(entry, fields[1]).catch((error) => console.error(error))
        .finally(() => running.delete(task));
      running.add(task);
    }
    if (running.size >= CONCURRENCY) await Promise.race(running);
  }
}

await app.listen({ host, port: Number(port) });
console.error(JSON.stringify({ event: 'ready' }));
if (CONCURRENCY > 0) consume();
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0));
