#!/usr/bin/env python3
"""tests/docs/commands.py FILE...: runs the commands of the documents (tests/docs/markdown.py says which) on a stack
that `make up` has started, on free ports: the documents' own addresses are translated. They run in a scratch folder
that looks like the repository's root; /usr/local stands for a folder in it. A command fails by its exit status or,
for curl, by an HTTP status of 400 and above. `ID` in a command, $ID and $ARN are what the answers before have named."""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
from markdown import Document, commands

LIMIT = 120  # seconds that a command may take on a loaded machine
NOT_HERE = {'aws': 'needs AWS or its command lines', 'docker': 'needs a Docker engine', 'long': 'takes long'}
PORTS = {'8080': 'HTTP_PORT', '8081': 'CALLBACKS_PORT', '9091': 'OPS_PORT', '4566': 'AWS_PORT'}
INPUT = {'items': [{'name': 'first'}]}  # of the jobs


RESERVED = []


def free_port():
    """As program_free_port() does: below the ports of outgoing connections, under a name that keeps others off it."""
    while True:
        port = random.randrange(20000, 32000)
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f'\0lambda-ecs-durable.{port}')
            with socket.socket() as s:
                s.bind(('127.0.0.1', port))
        except OSError:
            name.close()
            continue
        RESERVED.append(name)
        return str(port)


def wait_for(what, condition):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(what)


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', int(port))) == 0


class Place:
    """The scratch folder, and what runs in it."""

    def __init__(self):
        self.root = os.getcwd()
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix='docs-'))
        for name in os.listdir(self.root):
            if not name.startswith('.'):
                os.symlink(f'{self.root}/{name}', f'{self.dir}/{name}')
        with open(f'{self.dir}/.curlrc', 'w') as f:
            f.write('fail-with-body\n')
        self.ports = {port: free_port() for port in PORTS}
        self.env = {**os.environ, 'PATH': f'{self.root}/build/bin:{os.environ["PATH"]}', 'CURL_HOME': self.dir,
                    'PKG_CONFIG_PATH': f'{self.dir}/usr-local/lib/pkgconfig', 'STATE_DIR': f'{self.dir}/up-state',
                    **{variable: self.ports[port] for port, variable in PORTS.items()}}
        self.running = []
        self.receiver_env = {}

    def start(self, command, ports):
        """A command that keeps running, in a process group of its own, once it listens."""
        log = open(f'{self.dir}/stays-{len(self.running)}.log', 'w+')
        process = subprocess.Popen(['bash', '-c', f'exec {command}'], cwd=self.dir, env=self.env, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        self.running.append(process)

        def ready():
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f'ended with {process.returncode}: {log.read()[-1500:]}')
            return all(accepts(p) for p in ports)
        wait_for(command, ready)
        return process

    def up(self, command='make up'):
        if self.receiver_env:
            return
        self.start(command, self.ports.values())
        # What an operator has in the environment: the variables that the receiver was started with.
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                argv = open(f'/proc/{pid}/cmdline').read().split('\0')
                env = dict(v.split('=', 1) for v in open(f'/proc/{pid}/environ').read().split('\0') if '=' in v)
            except OSError:
                continue
            if argv[0].endswith('/callback-receiver') and env.get('OPS_LISTEN', '').endswith(':' + self.ports['9091']):
                self.receiver_env = {k: v for k, v in env.items() if k not in ('PATH', 'LISTEN')}
        if not self.receiver_env:
            raise RuntimeError('make up has not started a callback-receiver')

    def post(self, body):
        request = urllib.request.Request(f'http://127.0.0.1:{self.ports["8080"]}/workflows', json.dumps(body).encode(),
                                         {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return json.load(answer)

    def stop(self, keep):
        """Ends what runs but the first `keep`, and takes away the folder that a document's programs have made."""
        while len(self.running) > keep:
            process = self.running.pop()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(f'{self.dir}/state', ignore_errors=True)

    def close(self):
        self.stop(0)
        shutil.rmtree(self.dir, ignore_errors=True)


class Session:
    """One document's commands, in order. An assignment holds for those that follow."""

    def __init__(self, place, ci):
        self.place, self.ci = place, ci
        self.known, self.assignments, self.last = {}, [], None
        self.addresses = dict(place.ports)

    def translate(self, command):
        for port in re.findall(r'\b127\.0\.0\.1:(\d+)', command):
            self.addresses.setdefault(port, free_port())
        for port, real in self.addresses.items():
            command = re.sub(rf'\b(127\.0\.0\.1|localhost):{port}\b', rf'\1:{real}', command)
        command = command.replace('/usr/local', f'{self.place.dir}/usr-local')
        return re.sub(r'(?<![\w$-])ID(?![\w=])', lambda m: self.known.get('ID', m[0]), command)

    def learn(self, text):
        for pattern, name in ((r'(?im)^x-amz-durable-execution-arn: *(\S+)', 'ARN'), (r'"CallbackId": *"([^"]+)"', 'ID'),
                              (r'"id": *"([^"]+)"', 'ID')):
            for value in re.findall(pattern, text):
                self.known[name] = value

    def run(self, command):
        """The command; before one that needs an ID, the one above is repeated until its answer has it."""
        if re.search(r'(?<![\w-])ID(?![\w=])', command) and self.last:
            wait_for(f'an ID for: {command}', lambda: 'ID' in self.known or self.run_once(self.last) and None)
        self.last = command
        return self.run_once(command)

    def run_once(self, command):
        env = dict(self.place.env)
        if command.startswith('callback-receiver '):
            env.update(self.place.receiver_env)
        if 'local-aws ' in command:
            env['AWS_ENDPOINT_URL'] = f'http://127.0.0.1:{self.addresses["4566"]}'
        for name, value in self.known.items():
            env[name] = urllib.parse.quote(value, safe='')
        script = 'set -o pipefail\n' + '\n'.join(self.assignments + [self.translate(command)])
        done = subprocess.run(['bash', '-c', script], cwd=self.place.dir, env=env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, errors='replace')
        self.learn(done.stdout)
        if re.fullmatch(r'(export )?[A-Z_]+=\S*', command):
            self.assignments.append(self.translate(command))
        return done.returncode, done.stdout

    def stays(self, command):
        if command == 'make up':
            self.place.up()
            return 0, ''
        self.addresses.update({'4566': free_port(), '8080': free_port()})
        self.place.env.update({f'LOCAL_AWS_{name}LISTEN': f'127.0.0.1:{self.addresses[port]}'
                               for name, port in (('', '4566'), ('HTTP_', '8080'))})
        self.place.start(self.translate(command), [self.addresses['4566']])
        return 0, ''

    def job(self, command):
        mark = tempfile.mktemp(dir=self.place.dir)
        # A workflow stops the task whose failure it has been told: not before its exit status is written.
        wrapped = (f"trap '' TERM\n"
                   f'PATH={self.place.root}/build/bin:$PATH CURL_HOME={self.place.dir}; export PATH CURL_HOME\n'
                   f'{{ {command}\n}} >{mark}.out 2>&1; echo $? >{mark}.part; mv {mark}.part {mark}')
        self.place.post({'pattern': 'callback', 'input': INPUT, 'task': {'command': ['sh', '-c', wrapped]}})
        wait_for(f'the job of: {command}', lambda: os.path.exists(mark))
        return int(open(mark).read()), open(f'{mark}.out').read()

    def in_ci(self, command):
        target = command.split('#')[0].split()
        found = target[0] == 'make' and re.search(rf'make\b[^\n]* {re.escape(target[1])}\b', self.ci)
        return (0, '') if found else (1, f'.ci/run has no {" ".join(target)}')


def run_document(place, path, ci, count):
    """Up to the first command that fails: what follows builds on it."""
    session = Session(place, ci)
    for block in Document(path).blocks:
        if block.language == 'json' and block.tag:
            with open(f'{place.dir}/{block.tag}', 'w') as f:
                f.write(session.translate(block.text))
        if block.language != 'sh':
            continue
        for line, command in commands(block):
            if block.tag in NOT_HERE:
                count['skipped'] += 1
                print(f'skipped: {path}:{line}: {NOT_HERE[block.tag]}')
                continue
            how = {'': session.run, 'stays': session.stays, 'job': session.job, 'ci': session.in_ci}[block.tag]
            try:
                status, text = how(command)
            except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired) as e:
                status, text = 1, str(e)
            count['failed' if status else 'ok'] += 1
            print(f'{"FAILED" if status else "ok":7} {path}:{line}: {command.splitlines()[0]}', flush=True)
            if status:
                print(f'        exit status {status}\n        ' + text[-2000:].replace('\n', '\n        '))
                return


def main():
    place = Place()
    count = {'ok': 0, 'failed': 0, 'skipped': 0}
    try:
        place.up()
        ci = open('.ci/run').read()
        for path in sys.argv[1:]:
            run_document(place, path, ci, count)
            place.stop(1)
    finally:
        place.close()
    print(f'{count["ok"]} commands passed, {count["failed"]} failed, {count["skipped"]} not run here')
    return 1 if count['failed'] or not count['ok'] else 0


sys.exit(main())
