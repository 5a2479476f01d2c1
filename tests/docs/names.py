#!/usr/bin/env python3
"""tests/docs/names.py FILE...: what the documents name is there. Links and their anchors, files, make targets
(`make help` lists them), flags (against --help of our programs), environment variables (in --help, or in the
sources where a test or build reads them), JSON. A finding a line; exit status 1 with any. BIN_DIR: the programs."""
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from markdown import Document

BIN = os.environ.get('BIN_DIR', 'build/bin')
PROGRAMS = {'bootstrap': [], 'stack': [], 'callback-run': [],
            'callback-receiver': ['pending', 'dead', 'redeliver', 'doctor', 'token'],
            'local-aws': ['functions', 'executions', 'history', 'stop', 'callback', 'console']}
ROOMS = r'(?:docs|tests|launcher|callback-receiver|container|shared|local|examples|packaging|\.ci)/'
# Made by commands that the same document shows.
MADE = ('build/static/', 'build/launcher.zip', 'build/state', 'build/fuzz', 'build/coverage/', 'build/bench')


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def helps():
    """Flags and variables of each program, its commands' included."""
    flags, variables = {}, set()
    for program, subcommands in PROGRAMS.items():
        text = output(f'{BIN}/{program}', '--help')
        for command in subcommands:
            text += output(f'{BIN}/{program}', command, '--help')
        if not text:
            sys.exit(f'{BIN}/{program} --help says nothing: build first')
        flags[program] = set(re.findall(r'--[a-z][a-z0-9-]*', text))
        variables |= set(re.findall(r'\[([A-Z][A-Z0-9_]+)\]', text))
    return flags, variables


def sources():
    """All words that are written in capitals in what is not a document."""
    words = set()
    for path in output('git', 'ls-files', '-co', '--exclude-standard').split('\n'):
        if path and not path.endswith(('.md', '.png')) and os.path.isfile(path):
            words |= set(re.findall(r'\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b', open(path, errors='replace').read()))
    return words


class Check:
    def __init__(self):
        self.flags, self.variables = helps()
        self.any_flag = set().union(*self.flags.values())
        self.words = sources()
        self.targets = set(re.findall(r'^  make (\S+)', output('make', '-s', 'help'), re.M))
        self.anchors, self.findings, self.count = {}, [], 0

    def hold(self, true, where, what):
        self.count += 1
        if not true:
            self.findings.append(f'{where}: {what}')

    def link(self, doc, where, target):
        if re.match(r'[a-z]+:', target):
            return
        path, _, anchor = target.partition('#')
        full = os.path.normpath(os.path.join(os.path.dirname(doc.path), path)) if path else doc.path
        self.hold(os.path.exists(full), where, f'links to {target}, which is not there')
        if anchor and full.endswith('.md') and os.path.exists(full):
            if full not in self.anchors:
                self.anchors[full] = set(Document(full).anchors())
            self.hold(anchor in self.anchors[full], where, f'{target}: no such heading')

    def command(self, where, text):
        """Make targets and flags in a line of shell, or a code span that may be one."""
        for part in re.split(r'&&|\|\||[|;\n]', re.sub(r'\\\n', ' ', re.sub(r'(?m)(^|\s)#.*$', '', text))):
            words = part.split()
            while words and re.match(r'[A-Z_]+=', words[0]):
                words.pop(0)
            if not words:
                continue
            program = os.path.basename(words[0])
            if words[0] == 'make':
                for word in words[1:]:
                    if re.fullmatch(r'[a-z][a-z-]*', word):
                        self.hold(word in self.targets, where, f'make {word}: not in make help')
            elif program in PROGRAMS:
                end = words.index('--') if '--' in words else len(words)
                for flag in (w.split('=')[0] for w in words[1:end]):
                    if re.match(r'\[?--[a-z]', flag):
                        flag = flag.strip('[]')
                        self.hold(flag in self.flags[program], where, f'{program} has no {flag}')

    def span(self, where, span):
        for path in re.findall(r'(?:^| )(?:\./)?(' + ROOMS + r'[\w./-]*|build/[\w./-]+)', span):
            if not path.startswith(MADE):
                self.hold(os.path.exists(path.rstrip('.')), where, f'{path} is not there')
        flag = re.match(r'(--[a-z][a-z0-9-]*)', span)
        if flag:
            self.hold(flag[1] in self.any_flag, where, f'no program of ours has {flag[1]}')
        variable = re.match(r'\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=|$)', span)
        if variable:
            self.hold(variable[1] in self.variables | self.words, where, f'nothing knows {variable[1]}')
        self.command(where, span)

    def document(self, path):
        doc = Document(path)
        self.findings += doc.findings
        for line, target in doc.links():
            self.link(doc, f'{path}:{line}', target)
        for line, span in doc.spans():
            self.span(f'{path}:{line}', span)
        for block in doc.blocks:
            where = f'{path}:{block.line}'
            if block.language == 'json':
                try:
                    json.loads(block.text)
                except ValueError as e:
                    self.hold(False, where, f'not JSON: {e}')
            if block.language == 'sh':
                self.command(where, block.text)


check = Check()
for name in sys.argv[1:]:
    check.document(name)
for finding in check.findings:
    print(finding)
print(f'{len(sys.argv) - 1} documents name {check.count} things: {len(check.findings)} findings')
sys.exit(bool(check.findings) or check.count == 0)
