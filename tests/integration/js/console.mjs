// console.mjs URL FILE [SCREENSHOT]: the console in a real browser. FILE holds its address with the secret. What a page of
// another origin, a foreign Host or a form can do: nothing. Exit status 1, and a line for what is not as it should be.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
const require = createRequire(`${process.env.PEERS}/package.json`);
const L = require("@aws-sdk/client-lambda");
const { chromium } = require("playwright-core");

const [url, file, screenshot] = process.argv.slice(2);
const lambda = new L.LambdaClient({ endpoint: url, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "secret" } });
const port = new URL(url).port;
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function until(what, ask) {
  for (const end = Date.now() + 60000; Date.now() < end; await sleep(50)) {
    const found = await ask();
    if (found) return found;
  }
  throw new Error(`no ${what}`);
}

async function begin(name, input) {
  const answer = await lambda.send(new L.InvokeCommand({ FunctionName: `js-${name}:1`, InvocationType: "Event",
    DurableExecutionName: `${name}-${randomUUID().slice(0, 8)}`, Payload: JSON.stringify(input ?? {}) }));
  return { arn: answer.DurableExecutionArn, name: answer.DurableExecutionArn.split("/")[2] };
}

const get = (arn) => lambda.send(new L.GetDurableExecutionCommand({ DurableExecutionArn: arn }));
const events = async (arn) => (await lambda.send(new L.GetDurableExecutionHistoryCommand({ DurableExecutionArn: arn,
  IncludeExecutionData: true, MaxItems: 1000 }))).Events;
const suspended = (arn) => until("suspension", async () => (await events(arn)).some((e) => e.EventType === "InvocationCompleted"));
const ended = (arn) => until("end", async () => { const x = await get(arn); return x.Status === "RUNNING" ? null : x; });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", `--host-resolver-rules=MAP evil.example 127.0.0.1`] });
const address = readFileSync(file, "utf8").trim();

async function open(to, watch = []) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 960 } });
  const page = await context.newPage();
  page.on("pageerror", (e) => watch.push(`error: ${e.message}`));
  page.on("console", (m) => { if (m.type() === "error") watch.push(`console: ${m.text()}`); });
  await page.goto(to);
  return page;
}

async function choose(page, name) {
  await page.locator("#list").getByText(name).click();
  await page.locator(".head h1", { hasText: name }).waitFor();
}

const button = (page, name) => page.locator("#detail").getByRole("button", { name, exact: true });

/* A page of another origin, with a script of the test's. */
async function stranger(html) {
  const server = http.createServer((request, response) => { response.setHeader("content-type", "text/html"); response.end(html); });
  await new Promise((done) => { server.listen(0, "127.0.0.1", done); });
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

const tests = {
  async "without the secret there is nothing to see and nothing to press"() {
    const page = await open(`${url}/console`);
    await page.getByText("The console is locked").waitFor();
    for (const [path, method] of [["overview", "GET"], ["execution", "GET"], ["callback", "POST"], ["stop", "POST"]]) {
      const status = await page.evaluate(async ([p, m]) => (await fetch(`/console/api/${p}`, { method: m, headers: { "X-Console-Secret": "x".repeat(43),
        "Content-Type": "application/json" }, body: m === "POST" ? "{}" : undefined })).status, [path, method]);
      assert.equal(status, 401, path);
    }
    await page.getByPlaceholder("secret").fill(address);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /^Functions/ }).waitFor();
    await page.context().close();
  },
  async "it shows what happens as it happens"() {
    const trouble = [], page = await open(address, trouble);
    assert.ok(!page.url().includes(new URL(address).hash.slice(1)), "the secret stays in the address");
    const one = await begin("callback");
    await page.getByText(one.name).first().waitFor();
    await choose(page, one.name);
    await page.locator(".row.callback .bar.open").waitFor();
    await page.locator(".row.invocation .bar").first().waitFor();
    await button(page, "Succeed").click();
    await page.locator("#dialog-input").fill('{"by":"hand"}');
    await page.locator("#dialog-ok").click();
    const x = await ended(one.arn);
    assert.equal(x.Result, JSON.stringify('{"by":"hand"}'));
    await page.locator(".head .pill.SUCCEEDED").waitFor();
    await page.getByText("ExecutionSucceeded").click();
    await page.locator("pre", { hasText: '"EventType": "ExecutionSucceeded"' }).waitFor();
    await page.getByRole("tab", { name: "Input and result" }).click();
    await page.locator("pre", { hasText: "by" }).first().waitFor();
    assert.deepEqual(trouble, []);
    await page.context().close();
  },
  async "buttons fail a callback and stop a workflow"() {
    const page = await open(address), one = await begin("callback"), two = await begin("callback");
    await suspended(one.arn);
    await choose(page, one.name);
    await button(page, "Fail").click();
    await page.locator("#dialog-input").fill("not JSON");
    await page.locator("#dialog-ok").click();
    await page.locator("#dialog-problem").waitFor();
    await page.locator("#dialog-input").fill('{"ErrorType":"ByHand","ErrorMessage":"no"}');
    await page.locator("#dialog-ok").click();
    assert.equal((await ended(one.arn)).Status, "FAILED");
    await choose(page, two.name);
    await button(page, "Stop").click();
    await page.locator("#dialog-ok").click();
    assert.equal((await ended(two.arn)).Status, "STOPPED");
    await page.locator(".head .pill.STOPPED").waitFor();
    assert.equal(await button(page, "Stop").count(), 0);
    await page.context().close();
  },
  async "what others have written is text"() {
    const page = await open(address);
    const evil = await begin("evil", { name: "<img src=x onerror=window.pwned=1>", text: "<script>window.pwned=1</script>" });
    await ended(evil.arn);
    await choose(page, evil.name);
    await page.getByText("<img src=x onerror=window.pwned=1>").first().waitFor();
    await page.getByRole("tab", { name: "Input and result" }).click();
    await page.locator("pre", { hasText: "<script>" }).first().waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    assert.ok(!(await page.content()).includes((await events((await begin("callback")).arn))[1]?.CallbackStartedDetails?.CallbackId ?? "no id yet"));
    await page.context().close();
  },
  async "a page of another origin is refused, whatever it tries"() {
    const victim = await begin("callback");
    await suspended(victim.arn);
    const body = JSON.stringify({ arn: victim.arn, operation: "c4ca4238a0b92382", action: "succeed", text: "1" });
    const site = await stranger("<!doctype html><body>hello");
    const page = await open(site.url);
    const attempts = await page.evaluate(async ([base, text]) => {
      const results = [];
      const attempt = async (path, options) => {
        try { const r = await fetch(base + path, options); results.push(`${path} ${r.type} ${r.status}`); } catch (e) { results.push(`${path} blocked`); }
      };
      for (const path of ["/console/api/stop", "/console/api/callback", "/_local/faults", "/2015-03-31/functions/js-echo%3A1/invocations"]) {
        await attempt(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: text });
        await attempt(path, { method: "POST", mode: "no-cors", body: text });
        await attempt(path, { method: "POST", mode: "no-cors", body: new URLSearchParams({ a: text }) });
      }
      for (const path of ["/console", "/console/api/overview", "/_local/requests"]) await attempt(path, {});
      return results;
    }, [url, body]);
    // Nothing can be read: with CORS it is blocked, without it the answer is opaque.
    assert.ok(attempts.every((a) => / blocked$| opaque 0$/.test(a)), attempts.join("\n"));
    const statuses = [];
    page.on("response", (r) => { if (r.url().startsWith(url)) statuses.push(r.status()); });
    for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      for (const path of ["/console/api/stop", "/console/api/callback", "/2015-03-31/functions/js-echo%3A1/invocations"]) {
        await page.goto(site.url);
        await page.evaluate(([action, type, text]) => {
          const form = Object.assign(document.createElement("form"), { action, method: "POST", enctype: type });
          form.append(Object.assign(document.createElement("input"), { name: text, value: "" }));
          document.body.append(form);
          form.submit();
        }, [url + path, enctype, body]);
        await page.waitForURL(`${url}/**`);
      }
    }
    assert.equal(statuses.length, 9);
    assert.ok(statuses.every((s) => s === 403 || s === 415), statuses.join(" "));
    await page.goto(site.url);
    await page.evaluate((src) => new Promise((done) => {
      const frame = Object.assign(document.createElement("iframe"), { src, onload: done });
      document.body.append(frame);
    }), `${url}/console`);
    assert.ok(!page.frames().some((f) => f.url().startsWith(`${url}/console`)), "it cannot be framed");
    site.close();
    assert.equal((await get(victim.arn)).Status, "RUNNING", "nothing has happened");
    await page.context().close();
  },
  async "a foreign Host is refused"() {
    const page = await (await browser.newContext()).newPage();
    for (const path of ["/console", "/console/console.js", "/console/api/overview", "/_local/functions"]) {
      const answer = await page.goto(`http://evil.example:${port}${path}`);
      assert.equal(answer.status(), 403, path);
    }
    await page.context().close();
  },
};

async function picture() {
  const one = await begin("order", { order: 1041 });
  await until("container", async () => (await events(one.arn)).some((e) => e.EventType === "CallbackStarted"));
  await sleep(2600);
  const first = (await events(one.arn)).find((e) => e.EventType === "CallbackStarted");
  await lambda.send(new L.SendDurableExecutionCallbackSuccessCommand({ CallbackId: first.CallbackStartedDetails.CallbackId,
    Result: Buffer.from('{"invoice":"1041.pdf"}') }));
  await until("second callback", async () => (await events(one.arn)).filter((e) => e.EventType === "CallbackStarted").length === 2);
  await sleep(1500);
  const page = await open(address);
  await choose(page, one.name);
  await page.locator(".row.callback .bar.open").waitFor();
  await sleep(1200);
  await page.screenshot({ path: screenshot });
}

let bad = 0;
for (const [name, test] of Object.entries(tests))
  await test().catch((e) => { bad += 1; console.log(`${name}: ${e.stack.split("\n").slice(0, 10).join("\n    ")}`); });
if (screenshot) await picture();
await browser.close();
console.log(`${Object.keys(tests).length - bad} of ${Object.keys(tests).length} parts of the console hold in ${browser.version()}`);
process.exit(bad ? 1 : 0);
