"""Stands between a Lambda function's process and the Runtime API, and measures the process.

probe.py RECORDS COMMAND [ARGUMENT...]: starts COMMAND with itself as AWS_LAMBDA_RUNTIME_API, hands every
request on to the real one, and appends one JSON line to RECORDS for the start (spawn to the first request
for work) and for each invocation (event handed over to answer received). The same for every function, so
that what the probe itself costs is the same too.
"""
import http.client
import json
import os
import signal
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

records_path, command = sys.argv[1], sys.argv[2:]
upstream = os.environ["AWS_LAMBDA_RUNTIME_API"]
child = 0
spawned = 0.0
started = False
running = {}  # of the invocation that runs
lock = threading.Lock()


def record(**what):
    with open(records_path, "a") as f:
        f.write(json.dumps(what) + "\n")


def cpu_ms():
    """Time on a processor of all threads that there are; those of a runtime stay."""
    total = 0
    for task in os.listdir(f"/proc/{child}/task"):
        with open(f"/proc/{child}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e6


def peak_kib():
    with open(f"/proc/{child}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def forward(self, method, body=None):
        if not hasattr(self, "up"):
            self.up = http.client.HTTPConnection(upstream)
        headers = {k: v for k, v in self.headers.items()
                   if k.lower().startswith("lambda-") or k.lower() == "content-type"}
        self.up.request(method, self.path, body, headers)
        answer = self.up.getresponse()
        return answer, answer.read()

    def reply(self, answer, body):
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower().startswith("lambda-"):
                self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        global started
        arrived = time.perf_counter()
        if not started:
            started = True
            record(kind="start", ms=(arrived - spawned) * 1000, cpu=cpu_ms(), pid=os.getpid())
        answer, body = self.forward("GET")
        if answer.status == 200:
            operations = json.loads(body).get("InitialExecutionState", {}).get("Operations", [])
            running.update(kind="first" if len(operations) <= 1 else "resume")
        running.update(cpu=cpu_ms(), at=time.perf_counter())
        self.reply(answer, body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        took = (time.perf_counter() - running["at"]) * 1000
        status = json.loads(body).get("Status", "error") if body else ""
        record(kind=running["kind"], ms=took, cpu=cpu_ms() - running["cpu"], status=status,
               peak_kib=peak_kib(), total_cpu=cpu_ms())
        self.reply(*self.forward("POST", body))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def stop(*_):
    os.kill(child, signal.SIGKILL)
    os._exit(0)


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
signal.signal(signal.SIGTERM, stop)
env = dict(os.environ, AWS_LAMBDA_RUNTIME_API="127.0.0.1:%d" % server.server_address[1])
spawned = time.perf_counter()
child = os.posix_spawnp(command[0], command, env)
_, status = os.waitpid(child, 0)
os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
