"""What documents name is there: files, headings, commands, make targets, settings, URLs, names in the code."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from tests.named import ROOT, has_test, named_tests, paths_named

DOCS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
MADE_LATER = (
    "test-results",
    "bench/results",
    "var/",
    "deploy/certificates/",
    "deploy/settings/gestion.env",
    "node_modules",
)
OF_EXAMPLES = {"greeting/apps.py", "greeting/desired.py", "fabric.yml", "api-viewer/apidata.js", "script.js"}
OF_NO_PAGE = (
    "tests/",
    "bench/",
    "fabrun/older.py",
    "fabrun/older_calls.py",
    "fabrun/python_2.py",
)  # those of fabrun quote code of others
WORDS_OF_OTHERS = {
    "Redeliver",  # GitHub
    "Report a vulnerability",
    "Captured log",  # pytest
    "CT Templates",  # Proxmox
    "Connect to server",  # file managers
    "TLS web server authentication",  # RFC 5280
}
# What stands for something in the URLs of documents, and what may stand there in its place.
STANDS_FOR = {r"N|AT|ID|<id>|<n>|<x>": "1", r"KEY|PATH|NAME": "key", r"<slug>": "create_vm"}


def of_each() -> pytest.MarkDecorator:
    """A test for every document."""
    return pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)


def code_of(path: Path) -> list[str]:
    """What stands in backticks, and the lines of blocks of code."""
    text = path.read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [*spans, *(line for block in blocks for line in block.splitlines())]


@cache
def names() -> list[str]:
    """All files of the repository."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@cache
def sources() -> str:
    """All text of the repository that is no document."""
    told = [name for name in names() if not name.endswith((".md", ".png", ".gz", ".woff2"))]
    return "\n".join((ROOT / name).read_text(errors="replace") for name in told)


@of_each()
def test_files_are_there(path: Path) -> None:
    named = {name for name in paths_named(path.read_text()) if not name.startswith(MADE_LATER)}
    bare = {
        code for code in code_of(path) if re.fullmatch(r"[\w/.-]+\.(py|j2|html|toml|sh|txt|css|js)", code)
    }
    room = ROOT / path.stem
    missing = {
        name
        for name in (named | bare) - OF_EXAMPLES
        if not (ROOT / name).exists()
        and not (room / name).exists()
        and not any(one.endswith(f"/{name}") for one in names())
        and not re.search(r"[A-Z]{4}", name)
        and not list(ROOT.glob(f"{name}*"))  # the beginning of several names
    }
    assert missing == set()


@of_each()
def test_tests_are_there(path: Path) -> None:
    assert [test for test in named_tests(path.read_text()) if not has_test(*test)] == []


@of_each()
def test_documents_and_their_headings_are_there(path: Path) -> None:
    wrong = []
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text()):
        file = (path.parent / target).resolve() if target else path
        headings = (
            re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            if file.suffix == ".md" and file.exists()
            else []
        )
        if not file.exists() or (heading and heading not in map(_anchor, headings)):
            wrong.append(f"{target}#{heading}")
    assert wrong == []


def _anchor(heading: str) -> str:
    """As git hosts make it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@of_each()
def test_make_targets_and_management_commands_are_there(path: Path) -> None:
    code = "\n".join(code_of(path))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|[;&] )make ([a-z]+)", code, re.MULTILINE)) - targets == set()
    assert set(re.findall(r"manage\.py ([a-z_]+)", code)) - set(get_commands()) == set()


@of_each()
def test_settings_and_other_names_in_capitals_are_read_somewhere(path: Path) -> None:
    named = {name for code in code_of(path) for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", code)}
    assert {name for name in named if name not in sources()} == set()


@of_each()
def test_urls_lead_somewhere(path: Path) -> None:
    asked = [code for code in code_of(path) if re.match(r"(?:GET|POST) +/", code)]
    assert [code for code in asked if not _leads(code.split()[1].partition("?")[0])] == []


def _leads(url: str) -> bool:
    """Whether there is a view at this address of a document, with something for each word that stands for something."""
    if url.startswith("/keymanager/servers/getKeys/"):  # answered before Django
        return "getKeys" in sources()
    parts = [_meanings(part) for part in url.split("/")]
    for choice in product(*parts):
        try:
            resolve("/".join(choice))
        except Resolver404:
            continue
        return True
    return False


def _meanings(part: str) -> list[str]:
    meant = [value for pattern, value in STANDS_FOR.items() if re.fullmatch(pattern, part)]
    return [*meant, part]


@of_each()
def test_names_with_dots_are_in_the_code(path: Path) -> None:
    rooms = "|".join(
        sorted({config.name for config in apps.get_app_configs()} | {"hosts", "pages", "bench", "lab"})
    )
    named = {
        found[1]
        for code in code_of(path)
        if (found := re.match(rf"@?((?:{rooms})(?:\.\w+)+)(?:\(|$)", code))
        and not code.endswith((".py", ".target", ".env", ".timer"))
    }
    assert {name for name in named if not _is_in_code(name)} == set()


def _is_in_code(name: str) -> bool:
    """Whether the dotted name can be imported, alone or as what stands in a module; or is one that the code writes."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                return f'"{name}"' in sources()
            found = getattr(found, attribute)
        return True
    return False


@of_each()
def test_examples_in_python_can_be_read(path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        ast.parse(block.replace("…", "..."))


@cache
def words_of_the_panel() -> str:
    """All text that people may read: of templates and scripts, and of strings in the code that are no docstrings."""
    found: list[str] = []
    for name in names():
        text = (ROOT / name).read_text(errors="replace") if not name.startswith(OF_NO_PAGE) else ""
        if name.endswith(".py"):
            found += _strings(ast.parse(text))
        elif name.endswith((".html", ".j2", ".sh", ".caddy", "Caddyfile")):
            found.append(text)
    return re.sub(r"\s+", " ", "\n".join(found))


def _strings(tree: ast.Module) -> Iterator[str]:
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_what_a_page_quotes_stands_on_another() -> None:
    """A sentence such as 'under “Edit”' leads somewhere, as long as something there is called so."""
    quoted = set(re.findall(r"“([^”%{$]+)”", words_of_the_panel())) - WORDS_OF_OTHERS
    unquoted = re.sub(r"“[^”]*”", "", words_of_the_panel())
    assert {words for words in quoted if not _is_in(unquoted, words)} == set()


@of_each()
def test_what_is_quoted_is_what_the_panel_says(path: Path) -> None:
    """Between quotes or in italics stand the panel's own words; "…" is what differs, "→" leads from one to the next."""
    bare = re.sub(r"```.*?```|`[^`\n]*`|\*\*[^*]+\*\*", "", path.read_text(), flags=re.DOTALL)
    quoted = re.findall(r"“([^”]+)”|(?<![\w*])\*([^\s*][^*]*?)\*(?![\w*])", re.sub(r"\s+", " ", bare))
    said = {part for one, other in quoted for part in (one or other).split(" → ")} - WORDS_OF_OTHERS
    assert {words for words in said if not _is_said(words)} == set()


def _is_said(words: str) -> bool:
    return all(_is_in(words_of_the_panel(), part.strip(" .,:")) for part in words.split("…"))


def _is_in(text: str, words: str) -> bool:
    return words in text or words[0].lower() + words[1:] in text  # forms begin labels with a capital
