"""Scripts written for Fabric 1, or Python 2: what of them is to change, line by line. Plain Python without Django.

Source: the Fabric documentation, “Upgrading from 1.x”.
"""

import io
import re
import tokenize
from collections.abc import Iterator

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
}
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
    "prompt": "an argument of the task: nobody answers questions",
    "confirm": "an argument of the task: nobody answers questions",
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
RENAMED = {
    "raw_input": "an argument of the task",
    "xrange": "range(…)",
    "unicode": "str(…)",
    "basestring": "str",
}
METHODS = {"iteritems": ".items()", "itervalues": ".values()", "iterkeys": ".keys()", "has_key": "“in”"}

_FROM = re.compile(r"^[ \t]*from\s+fabric(\.[\w.]+)?\s+import\s+(\([^)]*\)|(?:\\\n|[^\n#;])+)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import\s+fabric\.(\w+)[\w.]*(?:\s+as\s+(\w+))?", re.MULTILINE)
_EXCEPT = re.compile(r"^\s*except\s+[\w.()\s,]*[\w)]\s*,\s*(\w+)\s*:")
_RAISE = re.compile(r"^\s*raise\s+[\w.]+\s*,")
_PRINT = re.compile(r"^(?:.*[:;])?\s*print(?:\s+[^\s(=.,)\]]|\s*>>|\s*$|\s+\(.*\)\s*[%,])")
_HALVES = {("<", ">"), *(("0", digit) for digit in "01234567")}  # what Python 3 reads as two words
Change = tuple[int, str, str]  # the line, what stands there, what should


def advice(text: str, name: str) -> list[str]:
    """Each thing of a Fabric 1 or Python 2 script that is to change, as a sentence; none for another script."""
    text = text.replace("\r\n", "\n")
    changes = sorted({*_changes(text)})
    return [f"{name}, line {line}: “{old}” becomes {new}" for line, old, new in changes]


def _changes(text: str) -> Iterator[Change]:
    names: dict[str, str] = {}  # as the script calls them → as Fabric 1 did
    modules: set[str] = set()
    for line, module, imported in _imports(text, names, modules):
        yield line, f"from fabric{module} import {imported}", "“from fabric import task”"
    code = _code(text)
    yield from _python_2(text, code)
    if names or modules:
        yield from _fabric_1(code, names, modules)


def _imports(text: str, names: dict[str, str], modules: set[str]) -> Iterator[tuple[int, str, str]]:
    for found in _FROM.finditer(text):
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
        elif listed == "*":
            names.update({name: name for name in (*SAME, *INSTEAD, *LEFT_OUT, "env", "task")})
        else:
            names.update({pair[-1]: pair[0] for pair in pairs})
        yield text.count("\n", 0, found.start()) + 1, module, listed[:60]
    for found in _IMPORT.finditer(text):
        if found[1] in GONE:
            modules.add(found[2] or found[1])
            yield text.count("\n", 0, found.start()) + 1, f".{found[1]}", "…"


def _code(text: str) -> list[tuple[str, int]]:
    """The words and signs of a script with their lines, without strings and comments; as far as it can be read."""
    found: list[tuple[str, int]] = []
    end = (0, 0)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.start == end and found and (found[-1][0], token.string[:1]) in _HALVES:
                found[-1] = (found[-1][0] + token.string, token.start[0])
            elif token.type in {tokenize.NAME, tokenize.OP, tokenize.NUMBER}:
                found.append((token.string, token.start[0]))
            elif token.type == tokenize.STRING:
                found.append(('""', token.start[0]))
            end = token.end
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def _fabric_1(code: list[tuple[str, int]], names: dict[str, str], modules: set[str]) -> Iterator[Change]:
    words = [word for word, _line in code]
    padded = ["", "", *words, "", "", ""]
    for at, (word, line) in enumerate(code):
        before, earlier, after, later = padded[at + 1], padded[at], padded[at + 3], padded[at + 4]
        if before == "." and earlier in modules:
            name, shown = word, f"{earlier}.{word}"
        elif word in names and before not in {".", "import", "as", "def"} and after != "=":
            name, shown = names[word], word
        else:
            continue
        if name == "env" and after == ".":
            yield line, f"{shown}.{later}", _of_env(later)
        elif name == "env" and after == "[":
            yield line, f"{shown}[…]", "“c.config.NAME”"
        elif name == "task" and before == "@":
            yield from _signature(code[at:])
        elif before == "@" and name in LEFT_OUT:
            yield line, f"@{shown}", "nothing: the servers are chosen when it is run"
        elif after == "(" and name in SAME:
            yield line, f"{shown}(…)", f"“c.{name}(…)”"
        elif after == "(" and name in INSTEAD:
            yield line, f"{shown}(…)", INSTEAD[name]


def _of_env(name: str) -> str:
    if name in WHERE:
        return "“c.host”"
    if name in CHOSEN:
        return "nothing: the servers are chosen when it is run, and the inventory says how each is reached"
    return f"“c.config.{name}”, or an argument of the task"


def _signature(code: list[tuple[str, int]]) -> Iterator[Change]:
    """The next function takes the connection."""
    words = [word for word, _line in code[:40]]
    if "def" not in words:
        return
    at = words.index("def")
    name, first = words[at + 1], words[at + 3] if len(words) > at + 3 else ")"
    if first not in {"c", "ctx", "conn", "connection", "context"}:
        rest = "" if first == ")" else ", …"
        yield code[at][1], f"def {name}({'' if first == ')' else '…'})", f"“def {name}(c{rest})”"


def _python_2(text: str, code: list[tuple[str, int]]) -> Iterator[Change]:
    prints = {line for word, line in code if word == "print"}
    for number, line in enumerate(text.split("\n"), start=1):
        if number in prints and _PRINT.match(line):
            yield number, "print …", "“print(…)”"
        if found := _EXCEPT.match(line):
            yield number, f"except …, {found[1]}", f"“except … as {found[1]}”"
        if _RAISE.match(line):
            yield number, "raise ERROR, …", "“raise ERROR(…)”"
    for at, (word, row) in enumerate(code):
        after = code[at + 1][0] if at + 1 < len(code) else ""
        before = code[at - 1][0] if at else ""
        if word == "<>":
            yield row, "<>", "“!=”"
        elif re.fullmatch("0[0-7]+", word) and word.strip("0"):
            yield row, word, f"“0o{word[1:]}”"
        elif word in RENAMED and after == "(" and before not in {".", "def"}:
            yield row, f"{word}(…)", RENAMED[word]
        elif word in METHODS and before == "." and after == "(":
            yield row, f".{word}(…)", METHODS[word]
