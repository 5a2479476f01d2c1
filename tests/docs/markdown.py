"""The parts of a document: fenced blocks with their tags, code in the text, links, headings.

What a block is, its tag says, so that a test can tell a command from its output:

    ```sh              commands that the test runs, from the repository's root
    ```sh stays        one that keeps running: started in the background, what follows speaks to it
    ```sh job          commands inside a job's container: each is run as a workflow
    ```sh ci           run by .ci/run already, which must have the same line
    ```sh aws          needs an account, or AWS's command lines
    ```sh docker       needs a Docker engine
    ```sh long         takes minutes, or a tool that few machines have; its make target must be there
    ```json FILE       JSON, parsed; with a name the test writes it to that file for the commands that follow
    ```text, ```c, ```yaml, ```dockerfile ...    no commands
"""
import re
import subprocess
from collections import namedtuple

SHELL_TAGS = ('', 'stays', 'job', 'ci', 'aws', 'docker', 'long')
LANGUAGES = ('sh', 'json', 'text', 'c', 'yaml', 'dockerfile')
MAX_WIDTH = 120  # of a line of text; tables and links may be longer

Block = namedtuple('Block', 'language tag line text')


class Document:
    def __init__(self, path):
        self.path = path
        self.blocks = []
        self.prose = []  # (line number, text) outside of blocks
        self.findings = []
        self._read()

    def _find(self, line, what):
        self.findings.append(f'{self.path}:{line}: {what}')

    def _read(self):
        block = indent = None
        blank = True
        lines = open(self.path, encoding='utf-8').read().split('\n')
        for number, line in enumerate(lines, 1):
            fence = re.match(r'( *)```(.*)$', line)
            if block:
                if fence and not fence[2]:
                    self._close(block)
                    block = None
                else:
                    block[3].append(line[indent:] if not line[:indent].strip() else line)
                continue
            if fence:
                words = fence[2].split(' ', 1) + ['']
                block, indent = (words[0], words[1].strip(), number, []), len(fence[1])
                continue
            if blank and line.startswith('    ') and not self._in_list(number, lines):
                self._find(number, 'an indented block: fence it, and say what it is (tests/docs/markdown.py)')
            if len(line) > MAX_WIDTH and '|' not in line and '](' not in line:
                self._find(number, f'a line of {len(line)} characters')
            blank = not line.strip()
            self.prose.append((number, line))
        if block:
            self._find(block[2], 'a block that does not end')

    @staticmethod
    def _in_list(number, lines):
        """Whether the indented line belongs to an item of a list above."""
        for line in reversed(lines[:number - 1]):
            if line.strip() and not line.startswith(' '):
                return bool(re.match(r'([-*]|\d+\.) ', line))
        return False

    def _close(self, block):
        language, tag, line, text = block
        if language not in LANGUAGES:
            self._find(line, f'a block tagged {language or "with nothing"}: one of {", ".join(LANGUAGES)}')
        elif language == 'sh' and tag not in SHELL_TAGS:
            self._find(line, f'sh {tag}: one of {", ".join(SHELL_TAGS[1:])}, or nothing')
        self.blocks.append(Block(language, tag, line, '\n'.join(text)))

    def spans(self):
        """(line, text) of each code span in the text."""
        for number, line in self.prose:
            for span in re.findall(r'`([^`]+)`', line):
                yield number, span

    def links(self):
        for number, line in self.prose:
            for target in re.findall(r'\]\(([^)\s]+)\)', line):
                yield number, target

    def anchors(self):
        """The names that GitHub gives to headings."""
        for _, line in self.prose:
            heading = re.match(r'#+ (.*)', line)
            if heading:
                yield re.sub(r'[^\w\- ]', '', heading[1].lower()).replace(' ', '-')


def commands(block):
    """(line, text) of each command of a block: lines are joined until the shell finds them whole."""
    pending, begin = '', block.line + 1
    for offset, line in enumerate(block.text.split('\n')):
        if not pending and (not line.strip() or line.lstrip().startswith('#')):
            continue
        if not pending:
            begin = block.line + 1 + offset
        pending += line + '\n'
        whole = not line.endswith('\\') and subprocess.run(['bash', '-n', '-c', pending], capture_output=True).returncode == 0
        if whole:
            yield begin, pending.rstrip('\n')
            pending = ''
    if pending:
        yield begin, pending.rstrip('\n')
