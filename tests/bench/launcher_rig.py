"""local-aws, a callback receiver and functions behind the probe, for measurements of the launcher.

`Stack(work, functions)` starts them in the folder `work`; each function is NAME: command. `run` runs workflows to their
end and returns what the probe (runtime_probe.c) has recorded of the function's process meanwhile.
"""
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from datetime import datetime, timezone
from urllib.parse import quote

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BIN_DIR", f"{ROOT}/build/bin")
PROBE = f"{os.environ.get('TOOLS_DIR', f'{ROOT}/build/tests/bench')}/runtime_probe"
STATIC = os.environ.get("STATIC_BOOTSTRAP", f"{ROOT}/build/static/bin/bootstrap")
KEYS = json.dumps({"bench": "0123456789012345678901234567890123456789012"})
PATIENCE_S = 300


def static_bootstrap():
    """Why there is none, or None: made where it is missing, which takes some minutes the first time."""
    if "STATIC_BOOTSTRAP" not in os.environ:
        done = subprocess.run(["make", "-s", "-C", ROOT, "static"], capture_output=True, text=True)
        if done.returncode != 0:
            return f"make static: {done.stderr.strip()[-300:]}"
    return None if os.path.exists(STATIC) else f"there is no {STATIC}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def call(port, method, path, query=None, body=b"", headers=None):
    """One call of Lambda's API, signed with SigV4; the answer, parsed."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    day, host = now[:8], f"127.0.0.1:{port}"
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted((query or {}).items()))
    digest = hashlib.sha256(body).hexdigest()
    headers = dict(sorted({"host": host, "x-amz-content-sha256": digest, "x-amz-date": now, **(headers or {})}.items()))
    names = ";".join(headers)
    canonical = "\n".join([method, quote(path, safe="/-_.~"), query, *(f"{k}:{v}" for k, v in headers.items()), "",
                           names, digest])
    scope = f"{day}/us-east-1/lambda/aws4_request"
    key = b"AWS4test"
    for part in (day, "us-east-1", "lambda", "aws4_request"):
        key = _sign(key, part)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, "
                                f"Signature={_sign(key, to_sign).hex()}")
    connection = http.client.HTTPConnection(host)
    try:
        connection.request(method, path + (f"?{query}" if query else ""), body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status not in (200, 202):
        raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
    return json.loads(text) if text else {}


class Stack:
    def __init__(self, work, functions, at_once=1):
        self.work, self.aws_port, self.processes = work, free_port(), []
        receiver_port = free_port()
        environment = {
            "ECS_CLUSTER": "local", "TASK_DEFINITION": "job", "CONTAINER_NAME": "job",
            "LAUNCH_TYPE": "FARGATE", "SUBNETS": "subnet-local", "CALLBACK_TOKEN_KEYS": KEYS,
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{receiver_port}",
        }
        self.records = {name: f"{work}/{name}.jsonl" for name in functions}
        config = {
            "region": "us-east-1", "accountId": "123456789012", "credentials": {"test": "test"},
            "functions": {name: {
                "command": [PROBE, self.records[name], *command],
                "environment": environment, "timeoutSeconds": 60, "maxConcurrency": at_once,
                "durable": {"executionTimeoutSeconds": 3600, "retentionDays": 1},
            } for name, command in functions.items()},
            "cluster": "local",
            "taskDefinitions": {"job": {"containers": [
                {"name": "job", "entryPoint": [f"{BIN}/callback-run", "--"]}]}},
            "httpApi": [],
        }
        with open(f"{work}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.start("local-aws", [f"{BIN}/local-aws", "--config", f"{work}/config.json",
                                 "--state", f"{work}/state",
                                 "--aws-listen", f"127.0.0.1:{self.aws_port}",
                                 "--http-listen", "127.0.0.1:0"], {})
        self.start("receiver", [f"{BIN}/callback-receiver"], {
            "LISTEN": f"127.0.0.1:{receiver_port}", "OPS_LISTEN": "127.0.0.1:0",
            "CALLBACK_STORE": f"sqlite:{work}/callbacks.db", "CALLBACK_TOKEN_KEYS": KEYS,
            "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.aws_port}",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})

    def start(self, name, command, environment):
        with open(f"{self.work}/{name}.log", "ab") as log:
            self.processes.append(subprocess.Popen(command, stderr=log, stdout=log,
                                                   env=dict(os.environ, **environment)))
        until = time.monotonic() + 30
        while '"ready"' not in self.log(name):
            if time.monotonic() > until or self.processes[-1].poll() is not None:
                raise SystemExit(f"{name} does not start: {self.log(name)[-500:]}")
            time.sleep(0.02)

    def log(self, name):
        with open(f"{self.work}/{name}.log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def read(self, name):
        if not os.path.exists(self.records[name]):
            return []
        with open(self.records[name], encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def invoke(self, name, event):
        call(self.aws_port, "POST", f"/2015-03-31/functions/{name}/invocations", {"Qualifier": "1"},
             json.dumps(event).encode(), {"x-amz-invocation-type": "Event"})

    def run(self, name, count, event, ended):
        """Runs `count` workflows with `event` until `ended` says so of the new records, which are returned."""
        before = len(self.read(name))
        for _ in range(count):
            self.invoke(name, event)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            new = self.read(name)[before:]
            bad = [r for r in new if r.get("status") not in (None, "PENDING", "SUCCEEDED")]
            if bad:
                raise SystemExit(f"{name}: {bad[0]}")
            if ended(new):
                return new
            time.sleep(0.05)
        raise SystemExit(f"{name}: workflows do not end: {self.read(name)[before:]}")

    def end_process(self, name):
        pid = [r["pid"] for r in self.read(name) if r["kind"] == "start"][-1]
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)

    def history(self, name, first=False):
        """The events of the workflow that began last, or first, with their data."""
        found = call(self.aws_port, "GET", f"/2025-12-01/functions/{name}/durable-executions",
                     {"Qualifier": "1", "ReverseOrder": "false" if first else "true", "MaxItems": "1"})["DurableExecutions"]
        events, marker = [], None
        while marker is None or marker:
            query = {"IncludeExecutionData": "true", "MaxItems": "1000", **({"Marker": marker} if marker else {})}
            path = f"/2025-12-01/durable-executions/{quote(found[0]['DurableExecutionArn'], safe='')}/history"
            page = call(self.aws_port, "GET", path, query)
            events += page["Events"]
            marker = page.get("NextMarker") or ""
        return events


def metered(events):
    """Operations that Lambda charges: the execution and each start of an operation."""
    return sum(event["EventType"].endswith("Started") for event in events)


def updates(events):
    """The same if the ends that the function itself records count apart."""
    ends = ("Succeeded", "Failed")
    return metered(events) + sum(e["EventType"].startswith(("Step", "Context")) and e["EventType"].endswith(ends)
                                 for e in events)
