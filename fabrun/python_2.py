"""What of a script is Python 2, and what to write instead. Plain Python without Django.

Source: the Python documentation, “Porting Python 2 Code to Python 3” and the fixers of lib2to3.
"""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from fabrun.python_3 import Known

Change = tuple[int, str, str]  # the line, what stands there, what should
Code = list[tuple[str, int]]  # the words and signs of a script with their lines

NOBODY = "an argument of the task: nobody answers questions"
CALLS = {
    "raw_input": NOBODY,
    "xrange": "“range(…)”",
    "unichr": "“chr(…)”",
    "file": "“open(…)”",
    "execfile": "“exec(open(…).read())”",
    "reduce": "“functools.reduce(…)”",
    "reload": "“importlib.reload(…)”",
    "apply": "“FUNCTION(*…)”",
    "cmp": "“(a > b) - (a < b)”",
    "intern": "“sys.intern(…)”",
}
TYPES = {"unicode": "“str”", "basestring": "“str”", "long": "“int”"}
METHODS = {
    "iteritems": "“.items()”",
    "itervalues": "“.values()”",
    "iterkeys": "“.keys()”",
    "viewitems": "“.items()”",
    "viewvalues": "“.values()”",
    "viewkeys": "“.keys()”",
    "has_key": "“in”",
    "next": "“next(…)”",
}
SIGNS = {"<>": ("<>", "“!=”"), "`": ("`…`", "“repr(…)”"), 'ur""': ('ur"…"', '“r"…"”')}
# Each module of Python 2 that is gone: what is instead; empty: nothing of that kind.
MODULES = {
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "robotparser": "urllib.robotparser",
    "httplib": "http.client",
    "Cookie": "http.cookies",
    "cookielib": "http.cookiejar",
    "BaseHTTPServer": "http.server",
    "SimpleHTTPServer": "http.server",
    "CGIHTTPServer": "http.server",
    "SocketServer": "socketserver",
    "xmlrpclib": "xmlrpc.client",
    "SimpleXMLRPCServer": "xmlrpc.server",
    "DocXMLRPCServer": "xmlrpc.server",
    "HTMLParser": "html.parser",
    "htmllib": "html.parser",
    "sgmllib": "html.parser",
    "htmlentitydefs": "html.entities",
    "ConfigParser": "configparser",
    "StringIO": "io",
    "cStringIO": "io",
    "Queue": "queue",
    "cPickle": "pickle",
    "commands": "subprocess",
    "popen2": "subprocess",
    "copy_reg": "copyreg",
    "repr": "reprlib",
    "anydbm": "dbm",
    "whichdb": "dbm",
    "dbhash": "dbm",
    "dumbdbm": "dbm.dumb",
    "gdbm": "dbm.gnu",
    "UserDict": "collections",
    "UserList": "collections",
    "UserString": "collections",
    "__builtin__": "builtins",
    "thread": "_thread",
    "dummy_thread": "_thread",
    "dummy_threading": "threading",
    "md5": "hashlib",
    "sha": "hashlib",
    "mimetools": "email",
    "rfc822": "email",
    "MimeWriter": "email",
    "compiler": "ast",
    "imputil": "importlib",
    "new": "types",
    "Tkinter": "tkinter",
    "sets": "",
    "exceptions": "",
}
# Names of modules, there or gone, that are not where the table above says, or not called so; empty: leave it out.
NAMES = {
    "urllib2": {
        "HTTPError": "urllib.error.HTTPError",
        "URLError": "urllib.error.URLError",
        **{name: f"urllib.parse.{name}" for name in ("quote", "unquote", "urlparse", "urlencode")},
    },
    "urllib": {
        **{
            name: f"urllib.request.{name}"
            for name in ("urlopen", "urlretrieve", "URLopener", "FancyURLopener")
        },
        **{
            name: f"urllib.parse.{name}"
            for name in ("urlencode", "quote", "quote_plus", "unquote", "unquote_plus")
        },
    },
    "ConfigParser": {"SafeConfigParser": "configparser.ConfigParser"},
    "md5": {"new": "hashlib.md5"},
    "sha": {"new": "hashlib.sha1", "sha": "hashlib.sha1"},
    "popen2": dict.fromkeys(("popen2", "popen3", "popen4", "Popen3"), "subprocess.Popen"),
    "commands": {"mkarg": "shlex.quote"},
    "itertools": {
        "izip": "zip",
        "imap": "map",
        "ifilter": "filter",
        "izip_longest": "itertools.zip_longest",
        "ifilterfalse": "itertools.filterfalse",
    },
    "os": {
        "getcwdu": "os.getcwd",
        "errno": "errno",
        **dict.fromkeys(("popen2", "popen3", "popen4"), "subprocess.Popen"),
    },
    "sys": {"maxint": "sys.maxsize", "setdefaultencoding": ""},
    "string": {
        "letters": "string.ascii_letters",
        "lowercase": "string.ascii_lowercase",
        "uppercase": "string.ascii_uppercase",
        "maketrans": "str.maketrans",
        **{
            name: f"TEXT.{name}"
            for name in ("join", "split", "replace", "strip", "lower", "upper", "find", "zfill")
        },
        "atoi": "int",
    },
}

_EXCEPT = re.compile(r"^\s*except\s+[\w.()\s,]*[\w)]\s*,\s*(\w+|\([\w\s,]+\))\s*:")
_RAISE = re.compile(r"^\s*raise\s+[\w.]+\s*,")
_RAISE_TEXT = re.compile(r"^\s*raise\s+[ub]?[\"']")
_PRINT = re.compile(r"^(?:.*[:;])?\s*print(?:\s+[^\s(=.,)\]]|\s*>>|\s*$|\s+\(.*\)\s*[%,])")
_EXEC_IN = re.compile(r"^\s*exec\s*\(.*\)\s+in\s")


def changes(text: str, code: Code, known: Known, beside: Collection[str]) -> Iterator[Change]:
    """Each thing of Python 2. `beside` are the modules of the same folder, which may be called as one that is gone."""
    yield from _statements(text, code, known)
    own = _own_names(code) | known.names
    for word, line in code:
        if found := _literal(word):
            yield line, *found
    for line, old, new in (*_words(code, own), *_modules(text, code, beside)):
        if line not in known.either:
            yield line, old, new


def _words(code: Code, own: Collection[str]) -> Iterator[Change]:
    padded = ["", *(word for word, _line in code), "", ""]
    for at, (word, line) in enumerate(code):
        near = padded[at], padded[at + 2], padded[at + 3]
        if found := _phrase(word, near, own) or _name(word, near, own):
            yield line, *found
        elif word == "cmp" and near[1] == "=" and _called(padded[: at + 1]) in {"sort", "sorted"}:
            yield line, "cmp=…", "“key=functools.cmp_to_key(…)”"


def _called(words: list[str]) -> str:
    """The name of the function in whose arguments the words end."""
    depth = 0
    for at in range(len(words) - 1, 1, -1):
        depth += {")": 1, "(": -1}.get(words[at], 0)
        if depth < 0:
            return "" if words[at - 2] == "def" else words[at - 1]
    return ""


def _statements(text: str, code: Code, known: Known) -> Iterator[Change]:
    words = {(word, line) for word, line in code if word in {"print", "exec", "raise", "except"}}
    for number, line in enumerate(text.split("\n"), start=1):
        may_print = not known.is_read or number in known.prints
        if may_print and ("print", number) in words and _PRINT.match(line):
            yield number, "print …", _print(line)
        if not known.is_read and ("except", number) in words and (found := _EXCEPT.match(line)):
            yield number, f"except …, {found[1]}", f"“except … as {found[1].strip('()').partition(',')[0]}”"
        if ("raise", number) in words and _RAISE.match(line):
            yield number, "raise ERROR, …", "“raise ERROR(…)”"
        if ("raise", number) in words and _RAISE_TEXT.match(line):
            yield number, 'raise "…"', "“raise Exception(…)”"
        if ("exec", number) in words and _EXEC_IN.match(line):
            yield number, "exec(…) in …", "“exec(…, …)”"


def _print(line: str) -> str:
    if re.search(r"print\s*>>", line):
        return "“print(…, file=…)”"
    return '“print(…, end=" ")”' if line.rstrip().endswith(",") else "“print(…)”"


def _own_names(code: Code) -> set[str]:
    """What the script itself calls so: its functions, imports and variables."""
    words = [word for word, _line in code]
    made = {after for word, after in pairwise(words) if word in {"def", "class", "as"}}
    by_line: dict[int, list[str]] = {}
    for word, line in code:
        by_line.setdefault(line, []).append(word)
    for row in by_line.values():
        made |= set(row[:1]) if row[1:2] == ["="] else set()
        if row[0] in {"from", "import"} and "import" in row:
            made |= set(row[row.index("import") + 1 :])
    return made


def _literal(word: str) -> tuple[str, str] | None:
    """A sign or a number as Python 2 wrote it, with what it is now."""
    if word in SIGNS:
        return SIGNS[word]
    if re.fullmatch("0[0-7]+[lL]?", word) and word.strip("0lL"):
        return word, f"“0o{word[1:].rstrip('lL')}”"
    if re.fullmatch("[0-9][0-9a-fA-FxX]*[lL]", word):
        return word, f"“{word[:-1]}”"
    return None


def _phrase(word: str, near: tuple[str, str, str], own: Collection[str]) -> tuple[str, str] | None:
    """A word that is told by what stands before it, after it, and after that."""
    before, after, later = near
    if word == "exec" and before not in {".", "def"} and re.match(r'\w|"', after):
        return "exec …", "“exec(…)”"
    if word == "lambda" and after == "(":
        return "lambda (…): …", "“lambda x: …” with x[0], x[1], …"
    is_method = word in METHODS and word not in own and before == "." and after == "("
    if is_method and (word == "has_key" or later == ")"):
        return f".{word}(…)", METHODS[word]
    return None


def _name(word: str, near: tuple[str, str, str], own: Collection[str]) -> tuple[str, str] | None:
    """A function or type that Python 3 does not have; not one that the script itself calls so."""
    before, after, _later = near
    if word in own or before in {".", "def", "import", "as"}:
        return None
    if word in CALLS and after == "(":
        return f"{word}(…)", CALLS[word]
    if word in TYPES and after not in {"=", ":", "."}:
        return word, TYPES[word]
    return None


def _modules(text: str, code: Code, beside: Collection[str]) -> Iterator[Change]:
    called: dict[str, str] = {}  # as the script calls them → as Python 2 did
    told = (set(MODULES) | set(NAMES)) - set(beside)
    rows = text.split("\n")
    for line, words in _imports(code):
        if _is_tried(rows, line):
            continue
        if words[0] == "import":
            yield from _imported(line, words[1:], told, called)
        elif words[1] in told and words[2:3] == ["import"]:
            names = [
                one.split(" as ")
                for one in " ".join(words[words.index("import") + 1 :]).strip("() ,").split(" , ")
            ]
            yield from _from(line, words[1], names)
    yield from _uses(code, called)


def _imports(code: Code) -> Iterator[tuple[int, list[str]]]:
    """The statements that import, as words; a list in brackets goes over several lines."""
    at = 0
    while at < len(code):
        word, line = code[at]
        end = at + 1
        if word in {"import", "from"} and (
            at == 0 or code[at - 1][1] != line or code[at - 1][0] in {";", ":"}
        ):
            depth = 0
            while end < len(code) and (code[end][1] == line or depth) and code[end][0] != ";":
                depth += {"(": 1, ")": -1}.get(code[end][0], 0)
                end += 1
            yield line, [word for word, _line in code[at:end]]
        at = end


def _is_tried(rows: list[str], line: int) -> bool:
    """Whether an import stands between `try:` and `except ImportError`, or behind that: the script knows both names."""
    row = rows[line - 1] if line <= len(rows) else ""
    space = len(row) - len(row.lstrip())
    for earlier in reversed(rows[: line - 1]):
        if earlier.strip() and len(earlier) - len(earlier.lstrip()) < space:
            return earlier.strip().startswith(
                ("try:", "except ImportError", "except ModuleNotFound", "except:")
            )
    return False


def _imported(line: int, words: list[str], told: set[str], called: dict[str, str]) -> Iterator[Change]:
    for one in " ".join(words).split(" , "):
        name, _as, alias = one.partition(" as ")
        if name not in told:
            continue
        called[alias or name] = name
        if name in MODULES:
            new = MODULES[name]
            as_ = f" as {alias}" if alias and alias != new else ""
            yield line, f"import {one}", f"“import {new}{as_}”" if new else "nothing: leave it out"


def _from(line: int, module: str, names: list[list[str]]) -> Iterator[Change]:
    found: dict[str, list[str]] = {}
    for name, *alias in names:
        full = _new_name(module, name)
        if full is None:
            continue
        new_module, _dot, new = full.rpartition(".")
        kept = alias[0] if alias else name
        found.setdefault(new_module, []).append(new if new == kept else f"{new} as {kept}")
    if not found:
        return
    listed = ", ".join(" as ".join(one) for one in names)
    instead = [
        f"“from {where} import {', '.join(what)}”" if where else _no_import(what)
        for where, what in found.items()
    ]
    yield line, f"from {module} import {listed}"[:80], " and ".join(instead)


def _no_import(names: list[str]) -> str:
    return "nothing: " + ", ".join("“{}” needs no import".format(one.partition(" as ")[0]) for one in names)


def _new_name(module: str, name: str) -> str | None:
    """Where a name of a module is now; None: where it was."""
    if name in NAMES.get(module, {}):
        return NAMES[module][name]
    if module in MODULES:
        return f"{MODULES[module]}.{name}" if MODULES[module] else name
    return None


def _uses(code: Code, called: dict[str, str]) -> Iterator[Change]:
    padded = ["", *(word for word, _line in code), "", ""]
    for at, (word, line) in enumerate(code):
        before, after, name = padded[at], padded[at + 2], padded[at + 3]
        if word not in called or before in {".", "import", "from", "as", ","} or after != ".":
            continue
        new = _new_name(called[word], name)
        if new is not None and (word == called[word] or name in NAMES.get(called[word], {})):
            module = new.rpartition(".")[0]
            more = f", with “import {module}”" if called[word] not in MODULES and "." in module else ""
            yield line, f"{word}.{name}", f"“{new}”{more}" if new else "nothing: leave it out"
