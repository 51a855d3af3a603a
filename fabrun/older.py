"""Scripts written for Fabric 1, or Python 2: what of them is to change, line by line. Plain Python without Django.

Source: the Fabric documentation, “Upgrading from 1.x”.
"""

import io
import re
import tokenize
from collections.abc import Collection, Iterator
from itertools import takewhile

from fabrun import older_calls, python_2
from fabrun.python_2 import NOBODY, Change, Code
from fabrun.python_3 import known

# Modules of Fabric 1 that are gone.
GONE = {
    "api",
    "contrib",
    "operations",
    "context_managers",
    "decorators",
    "colors",
    "utils",
    "state",
    "network",
    "job_queue",
    "sftp",
    "thread_handling",
}
CONTRIB = {"files", "console", "project", "django"}  # modules within one of these
COLOURS = ("red", "green", "yellow", "blue", "magenta", "cyan", "white")
SAME = {"run", "sudo", "local", "put", "get", "cd", "prefix"}  # are methods of the connection
INSTEAD = {
    "lcd": 'c.local("cd FOLDER && …")',
    "settings": 'c.run("…", warn=True) for warn_only, and c.config.NAME for values',
    "hide": 'c.run("…", hide=True)',
    "show": "nothing: leave it out",
    "quiet": 'c.run("…", hide=True, warn=True)',
    "warn_only": 'c.run("…", warn=True)',
    "shell_env": 'c.run("…", env={"NAME": "value"})',
    "path": 'c.run("PATH=… …")',
    "execute": "a call: NAME(c)",
    "abort": 'raise SystemExit("…")',
    "error": 'raise SystemExit("…")',
    "warn": 'print("…")',
    "puts": 'print("…")',
    "fastprint": 'print("…")',
    "prompt": NOBODY,
    "confirm": NOBODY,
    "reboot": 'c.run("reboot", warn=True)',
    "open_shell": "nothing: nobody sits there",
    "require": "an argument of the task",
    "exists": 'c.run("test -e …", warn=True).ok',
    "contains": 'c.run("grep -qF -e … …", warn=True).ok',
    "append": 'c.run("grep -qxF -e … … || echo … >> …")',
    "sed": 'c.run("sed -i …")',
    "comment": 'c.run("sed -i …")',
    "uncomment": 'c.run("sed -i …")',
    "upload_template": "c.put(…), of a file that is written before",
    "upload_project": "c.put(…), of an archive",
    "rsync_project": 'c.local("rsync …")',
    "is_link": 'c.run("test -L …", warn=True).ok',
    "remote_tunnel": "“c.forward_remote(…)”",
    "char_buffered": "nothing: nobody sits there",
    "disconnect_all": "nothing: leave it out",
    **dict.fromkeys(COLOURS, "its text alone"),
}
# Words of their own that scripts use for much else: only where they are imported by name.
BY_NAME = {"first": 'the first for which c.run("test -e …", warn=True).ok', "output": 'c.run("…", hide=True)'}
EXCEPTIONS = {
    "NetworkError": "nothing: a server that cannot be reached is told, and the others go on",
    "CommandTimeout": "“from invoke import CommandTimedOut”",
}
LEFT_OUT = {"hosts", "roles", "parallel", "serial", "runs_once", "with_settings"}  # decorators
WHERE = {"host", "host_string"}
CHOSEN = {
    "hosts",
    "roles",
    "roledefs",
    "user",
    "password",
    "port",
    "key_filename",
    "gateway",
    "parallel",
    "warn_only",
}
CONNECTION = {"c", "ctx", "conn", "connection", "context"}

_FROM = re.compile(
    r"^[ \t]*from\s+fabric(\.[\w.]+)?\s+import\b\s*(\([^)]*\)|(?:\\\n|[^\n#;])+)", re.MULTILINE
)
_EXCEPTIONS = re.compile(r"^[ \t]*from\s+fabric\.exceptions\s+import\b([^\n#]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import\s+fabric\.(\w+)([\w.]*)(?:\s+as\s+(\w+))?", re.MULTILINE)
_HALVES = re.compile(r"<>|0[0-7]+|0?[0-9]+[lL]|0[xX][0-9a-fA-F]+[lL]")  # what Python 3 reads as two words


def advice(text: str, name: str, beside: Collection[str] = ()) -> list[str]:
    """Each thing of a Fabric 1 or Python 2 script that is to change, as a sentence; none for another script.

    `beside` are the modules of the same folder, which it may import.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    changes = sorted({*_changes(text, beside)})
    return [f"{name}, line {line}: “{old}” becomes {new}" for line, old, new in changes]


def _changes(text: str, beside: Collection[str]) -> Iterator[Change]:
    names: dict[str, str] = {}  # as the script calls them → as Fabric 1 did
    modules: set[str] = set()
    code, quoted = _code(text)
    itself = known(text)
    for line, module, imported in _imports(text, quoted | itself.either, names, modules):
        yield line, f"from fabric{module} import {imported}", "“from fabric import task”"
    for found in _EXCEPTIONS.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        for word in EXCEPTIONS if line not in quoted | itself.either else ():
            if re.search(rf"\b{word}\b", found[1]):
                yield line, f"from fabric.exceptions import {word}", EXCEPTIONS[word]
    yield from python_2.changes(text, code, itself, beside)
    if names or modules:
        yield from _fabric_1(code, names, modules)
        yield from older_calls.results(code)
        yield from older_calls.classes(code)
        yield from _functions(text, code, names, modules)


def _imports(
    text: str, passed: Collection[int], names: dict[str, str], modules: set[str]
) -> Iterator[tuple[int, str, str]]:
    """Each import of Fabric 1; `passed` are the lines that say nothing: within a string, or for either Fabric."""
    for found in _FROM.finditer(text):
        if text.count("\n", 0, found.start()) + 1 in passed:
            continue
        module, listed = (
            found[1] or "",
            " ".join(found[2].strip("()").replace("\\\n", " ").split()).rstrip(", "),
        )
        pairs = [word.split() for word in listed.split(",") if word.split()]
        first = module[1:].partition(".")[0]
        if first not in GONE and not (first == "tasks" and "execute" in listed):
            if first or not any(pair[0] in GONE for pair in pairs):
                continue
            modules.update(pair[-1] for pair in pairs if pair[0] in GONE)
            modules.update(CONTRIB if "contrib" in listed else ())
        elif listed == "*":
            colours = first == "colors"
            all_names = COLOURS if colours else {*SAME, *INSTEAD, *LEFT_OUT, "env", "task"} - {*COLOURS}
            names.update({name: name for name in all_names})
        elif module == ".contrib":
            modules.update(pair[-1] for pair in pairs)
        else:
            names.update({pair[-1]: pair[0] for pair in pairs})
        yield text.count("\n", 0, found.start()) + 1, module, listed[:60]
    for found in _IMPORT.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found[1] in GONE and line not in passed:
            modules.add(found[3] or f"{found[1]}{found[2]}".rpartition(".")[2])
            yield line, f".{found[1]}{found[2]}", "…"


def _code(text: str) -> tuple[Code, set[int]]:
    """A script's words and signs with their lines, as far as it can be read; and the lines that begin in a string."""
    found: Code = []
    quoted: set[int] = set()
    end = (0, 0)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            whole = found[-1][0] + token.string if found and token.start == end else ""
            if _HALVES.fullmatch(whole):
                found[-1] = (whole, token.start[0])
            elif token.type == tokenize.STRING and whole[:2].lower() == "ur" and len(found[-1][0]) == 2:
                found[-1] = ('ur""', token.start[0])
            elif token.type in {tokenize.NAME, tokenize.OP, tokenize.NUMBER} or token.string == "`":
                found.append((token.string, token.start[0]))
            elif token.type == tokenize.STRING:
                found.append(('""', token.start[0]))
            if tokenize.tok_name[token.type] in {"STRING", "FSTRING_MIDDLE"}:
                quoted.update(range(token.start[0] + 1, token.end[0] + 1))
            end = token.end
    except (tokenize.TokenError, SyntaxError):
        pass
    return found, quoted


def _fabric_1(code: Code, names: dict[str, str], modules: set[str]) -> Iterator[Change]:
    words = [word for word, _line in code]
    padded = ["", "", "", *words, "", "", ""]
    for at, (word, line) in enumerate(code):
        before, earlier, after, later = padded[at + 2], padded[at + 1], padded[at + 4], padded[at + 5]
        if before == "." and earlier in modules:
            name, shown, before = word, f"{earlier}.{word}", padded[at]
        elif word in names and before not in {".", "import", "as", "def"} and after != "=":
            name, shown = names[word], word
        else:
            continue
        if name == "env" and after == ".":
            yield line, f"{shown}.{later}", _of_env(later)
        elif name == "env" and after == "[":
            yield line, f"{shown}[…]", "“c.config.NAME”"
        elif before == "@" and name in LEFT_OUT:
            yield line, f"@{shown}", "nothing: the servers are chosen when it is run"
        elif before == "@" and name == "task" and shown != word:
            yield line, f"@{shown}", "“@task”"
        elif after == "(" and name in {*SAME, *INSTEAD, "task"}:
            yield from _of_call(code, at, name, shown)
        elif after in {"(", "[", "."} and name in BY_NAME:
            yield line, f"{shown}{after}…", BY_NAME[name]


def _of_call(code: Code, at: int, name: str, shown: str) -> Iterator[Change]:
    line = code[at][1]
    if name in INSTEAD:
        yield line, f"{shown}(…)", INSTEAD[name]
    elif name in SAME:
        yield line, f"{shown}(…)", f"“c.{name}(…)”{older_calls.text_of(code, at, name)}"
    yield from older_calls.words_of(code, at, name)


def _of_env(name: str) -> str:
    if name in WHERE:
        return "“c.host”"
    if name in CHOSEN:
        return "nothing: the servers are chosen when it is run, and the inventory says how each is reached"
    return f"“c.config.{name}”, or an argument of the task"


def _functions(text: str, code: Code, names: dict[str, str], modules: set[str]) -> Iterator[Change]:
    """Each function that is a task, or uses the connection, takes it. Without any `@task`, every public one was one."""
    rows = text.split("\n")
    starts = [
        at for at, (word, line) in enumerate(code) if word == "def" and rows[line - 1].startswith("def ")
    ]
    tasks = {name for name, old in names.items() if old == "task"} | {f"{module}.task" for module in modules}
    above = {at: _decorators(rows, code[at][1]) for at in starts}
    marked = {at for at in starts if above[at] & tasks}
    calls = {name for name, old in names.items() if old in SAME} | modules
    for at, following in zip(starts, [*starts[1:], len(code)], strict=False):
        words = [word for word, _line in code[at:following]]
        if len(words) < 4 or words[3] in CONNECTION:
            continue
        public = not marked and not words[1].startswith("_") and "contextmanager" not in above[at]
        if public or at in marked or not calls.isdisjoint(words[4:]):
            inside, rest = ("", "") if words[3] == ")" else ("…", ", …")
            more = "“@task” above it, and " if public else ""
            yield code[at][1], f"def {words[1]}({inside})", f"{more}“def {words[1]}(c{rest})”"


def _decorators(rows: list[str], line: int) -> set[str]:
    """The names of those right above a function in this line."""
    above = reversed(rows[: line - 1])
    return {
        row[1:].partition("(")[0].strip().removeprefix("fabric.")
        for row in takewhile(lambda row: row.startswith("@"), above)
    }
