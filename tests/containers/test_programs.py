"""The image holds every program that the panel's own code starts; the list is read from the code."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# Calls that start a program of this machine, by their last name and what it belongs to.
STARTERS = re.compile(
    r"subprocess\.\w+|(os\.)?(exec[lv]\w*|spawn[lv]\w*|posix_spawnp?|system|popen)|run_program|"
    r"(asyncio\.)?create_subprocess_(exec|shell)|database\.run|shutil\.which"
)
# A program in the words for another one: git's own variables and options.
NAMED_WITHIN = re.compile(r"(?:^|\.)program=([\w-]+)$")
VARIABLE = re.compile(r"GIT_\w+_COMMAND|GIT_(EDITOR|PAGER|ASKPASS)")
WRAPPERS = {"prlimit", "timeout", "setpriv", "env", "nice"}
# What starts no program by a name of its own.
OTHERS = {
    "hosts/programs.py": "what it is given by the others",
    "hosts/memory.py": "a host for tests",
    "hosts/apart.py": "Python, by what fabrun/catalogue.py and wizards/trying.py say",
    "gestion/launcher.py": "Python, by what gestion/management/commands/panel.py says",
}
# Which Debian package brings it; util-linux and coreutils are in every Debian.
PACKAGES = {
    "git": "git",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "pg_dump": "postgresql-client",
    "pg_restore": "postgresql-client",
    "prlimit": "util-linux",
    "cat": "coreutils",
}
ALWAYS_THERE = {"util-linux", "coreutils", "bash", "tar"}
# PostgreSQL's major version in each release of Debian: https://packages.debian.org/postgresql
DEBIAN_POSTGRESQL = {"bullseye": 13, "bookworm": 15, "trixie": 17}


def test_the_image_has_what_the_code_starts() -> None:
    started = programs()
    assert {"git", "ssh", "ssh-keygen", "prlimit", "pg_dump", "pg_restore"} <= started
    assert started <= set(PACKAGES), "say which Debian package brings it, and have the Dockerfile install it"
    installed = re.search(r"apt-get install -y --no-install-recommends ([\w .-]+)", DOCKERFILE)
    assert installed
    missing = {PACKAGES[name] for name in started} - set(installed[1].split()) - ALWAYS_THERE
    assert not missing, "the Dockerfile does not install these"
    wanted = re.search(r'^ARG PROGRAMS="([^"]+)"', DOCKERFILE, re.MULTILINE)
    assert wanted
    assert set(wanted[1].split()) == {name for name in started if PACKAGES[name] not in ALWAYS_THERE}


def test_the_images_clients_are_of_the_servers_version() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    pythons = set(re.findall(r"PYTHON_IMAGE(?:=|:-)python:[\d.]+-slim-(\w+)", DOCKERFILE + compose))
    servers = set(re.findall(r"POSTGRES_IMAGE:-postgres:(\d+)\.\d+-(\w+)", compose))
    assert len(pythons) == len(servers) == 1
    (release,), ((major, servers_release),) = pythons, servers
    assert release == servers_release
    # Older, pg_dump refuses the server; newer, the server may not take what pg_restore says.
    assert DEBIAN_POSTGRESQL[release] == int(major)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('import subprocess\nsubprocess.run(["rsync", "-a"])', {"rsync"}),
        ('run_program(("prlimit", "--data=1", "--", "gpg", "-d"), env={})', {"prlimit", "gpg"}),
        ('A = ("timeout", "5")\ndef f():\n argv = (*A, "openssl")\n run_program(argv, env={})', {"timeout", "openssl"}),
        ('import sys, subprocess\nsubprocess.Popen([sys.executable, "-m", "x"])', set()),
        ('OPTIONS = ("-c", "gpg.ssh.program=ssh-keygen")\nenv = {"GIT_SSH_COMMAND": "ssh -q"}', {"ssh", "ssh-keygen"}),
        ('database.run("pg_restore", "x")', {"pg_restore"}),
    ],
)  # fmt: skip
def test_a_program_is_found_however_it_is_started(code: str, found: set[str]) -> None:
    assert set(_started(ast.parse(code), "x.py")) == found


def test_a_program_whose_name_cannot_be_read_is_no_program_that_may_be_forgotten() -> None:
    with pytest.raises(AssertionError, match=r"x\.py:2"):
        set(_started(ast.parse("import subprocess\nsubprocess.run(chosen())"), "x.py"))


def programs() -> set[str]:
    """Every program that a file of the image starts."""
    found: set[str] = set()
    for name in _shipped():
        if name not in OTHERS:
            found |= set(_started(ast.parse((ROOT / name).read_text()), name))
    return found


def _shipped() -> list[str]:
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *taken],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    return [name for name in listed if name.endswith(".py") and (ROOT / name).is_file()]


def _started(tree: ast.Module, name: str) -> Iterator[str]:
    values = _values(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and (found := NAMED_WITHIN.search(str(node.value))):
            yield found[1]
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and VARIABLE.fullmatch(str(key.value)):
                    yield _words(value, values)[0].split()[0]
        elif isinstance(node, ast.Call) and STARTERS.fullmatch(_called(node, name)) and node.args:
            words = _words(node.args[0], values)
            assert words, (
                f"{name}:{node.lineno} starts a program that is not read from it: say which in OTHERS"
            )
            yield from _programs_of(words)


def _called(node: ast.Call, name: str) -> str:
    called = ast.unparse(node.func)
    # Inside its own module it has no other name.
    if not name.endswith("panel_backup/database.py"):
        return called
    if node.args and re.match(r"program\b|\[program\b", ast.unparse(node.args[0])):
        return ""  # that of `run`, whose callers are looked at
    return "database.run" if called == "run" else called


def _programs_of(words: list[str]) -> Iterator[str]:
    if words[0] == "sys.executable":
        return
    yield words[0]
    if words[0] in WRAPPERS:
        rest = words[words.index("--") + 1 :] if "--" in words else words[1:]
        yield from (word for word in rest[:1] if re.fullmatch(r"[a-z][\w-]*", word))
        yield from (word for word in rest[1:2] if "--" not in words and re.fullmatch(r"[a-z][\w-]*", word))


def _values(tree: ast.Module) -> dict[str, ast.expr]:
    """What each name is set to, anywhere in the module."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, node.value)
    return found


def _words(node: ast.expr, values: dict[str, ast.expr]) -> list[str]:
    """The words of an argv as far as they are written there; variable ones as "…"."""
    if isinstance(node, ast.Name):
        return _words(values[node.id], values) if node.id in values else []
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.List | ast.Tuple):
        words = []
        for part in node.elts:
            inner = part.value if isinstance(part, ast.Starred) else part
            words += _words(inner, values) or ["…"]
        return words if words and words[0] != "…" else []
    return ["sys.executable"] if ast.unparse(node) == "sys.executable" else []
