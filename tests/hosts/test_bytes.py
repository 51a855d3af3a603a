"""Whatever bytes a path, a file or a command's words hold, they arrive as they are."""

import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hosts import engine, wire
from hosts.memory import MemoryHost
from hosts.ssh import command_line
from hosts.state import STAGED, Command, File, Link, State

ODD = [
    "-",
    "--",
    "-n",
    "\n",
    "\n\n",
    "a\n",
    "\nb",
    "'",
    '"',
    "`id`",
    "$(id)",
    "${IFS}",
    "\\",
    "\\n",
    " ",
    "*",
    "%s",
    "&;|",
]
ODD += ["é", "\udcff", "\r", "\t", "x y", "end", "0", "r0", "!"]

nonul = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
words = st.one_of(st.sampled_from(ODD), st.text(nonul, max_size=20))
names = words.map(lambda word: word.replace("/", "_")).filter(lambda word: word not in {"", ".", ".."})
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/x/" + "/".join(parts))
contents = st.one_of(st.binary(max_size=200), words.map(lambda word: word.encode(errors="surrogateescape")))
few = settings(max_examples=25, deadline=None)


@few
@given(
    paths,
    contents,
    st.lists(words, max_size=4),
    words.filter(bool),
    contents,
)
@example("/x/-rf", b"", ["", "-"], "-s", b"\n")
@example("/x/\n", b"\n\n", ["\n", ""], "\n", b"")
@example("/x/\udcff\\", b"\\", ["\udcff"], "\udcff", b"\xff\0")
def test_paths_contents_links_and_words_arrive_byte_for_byte(
    path: str, content: bytes, argv: list[str], target: str, second: bytes
) -> None:
    host = MemoryHost()
    command = Command(("tool", *argv))
    staged = Command(("check", STAGED(path)))
    for data in (content, second):
        state = State(
            "k", (File(path, data), Link("/y", target)), checks=(staged,), activate=(command,), put_back=()
        )
        engine.apply(host, engine.plan(host, state))
        assert host.read(path) == data
        assert str(host.path("/y").readlink()) == target
        assert engine.plan(host, state).empty
    ran = host.ran
    assert ("tool", *argv) in ran
    assert all(one[1].endswith("/new/" + path.rpartition("/")[2]) for one in ran if one[0] == "check")
    engine.apply(host, engine.plan(host, State("k", ())))
    assert not host.path(path).exists()
    assert not host.path("/y").is_symlink()


@few
@given(st.lists(paths, min_size=1, max_size=6, unique=True))
def test_many_odd_paths_side_by_side_are_told_apart(found: list[str]) -> None:
    chosen = [path for path in found if not any(other.startswith(f"{path}/") for other in found)]
    state = State("k", tuple(File(path, path.encode(errors="surrogateescape")) for path in chosen))
    host = MemoryHost()
    engine.apply(host, engine.plan(host, state))
    for path in chosen:
        assert host.read(path) == path.encode(errors="surrogateescape")
    assert engine.plan(host, state).empty


@few
@given(st.lists(words, min_size=1, max_size=5))
def test_the_line_for_the_login_shell_runs_the_words_as_they_are(argv: list[str]) -> None:
    show = ["printf", "%s\\0", *argv]
    for timeout in (None, 5.0):
        done = subprocess.run(
            ["sh", "-c", command_line(show, timeout)], capture_output=True, check=True, timeout=10
        )
        assert done.stdout == b"".join(word.encode(errors="surrogateescape") + b"\0" for word in argv)


@given(st.lists(st.binary().filter(lambda data: b"\0" not in data)))
def test_strings_on_the_wire_read_back(strings: list[bytes]) -> None:
    reader = wire.Reader(b"".join(wire.text(one) for one in strings))
    assert [reader.text() for _ in strings] == strings
    assert reader.done
