"""Whatever is in a path, a file or an argument arrives on the host byte for byte."""

import os
import subprocess

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hosts import wire
from hosts.channel import command_line
from hosts.engine import apply, plan
from hosts.memory import MemoryHost
from hosts.state import Command, File, Item, Link, State

odd = st.text(st.sampled_from("a-*?[]\\'\"`$(){}<>|&;!~#%=\n\t \r\x01\x7fé\udcff") | st.characters(
    codec="utf-8", exclude_characters="\0"
))  # fmt: skip
words = odd.filter(lambda word: "\0" not in word)
names = words.filter(lambda name: "/" not in name and name not in {"", ".", ".."}).filter(
    lambda name: len(os.fsencode(name)) < 100
)
slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.lists(st.binary(max_size=50)))
def test_strings_of_any_bytes_are_read_back(values: list[bytes]) -> None:
    reader = wire.Reader(b"".join(wire.text(value) for value in values))
    assert [reader.text() for _ in values] == values
    assert reader.done


@slow
@given(st.lists(words, min_size=1, max_size=4))
@example(["-n", "--", "a\n\n", "\n", "", "\\", "'", "$(reboot)"])
def test_argv_arrives_through_the_login_shell_as_it_was_given(argv: list[str]) -> None:
    line = command_line(["printf", "%s\\0", *argv], 5)
    out = subprocess.run(["sh", "-c", os.fsencode(line)], capture_output=True, check=True).stdout
    assert out == b"".join(os.fsencode(word) + b"\0" for word in argv)


@slow
@given(st.lists(words, min_size=1, max_size=4))
@example(["-n", "--", "a\n\n", "\n", "", "\\", "'", "$(reboot)"])
def test_argv_of_a_states_commands_arrives_as_it_was_given(argv: list[str]) -> None:
    host = MemoryHost()
    kind = State("argv", (File("/a", b""),), activate=(Command(("tool", *argv)),))
    apply(host, plan(host, kind))
    assert host.ran == [("tool", *argv)]


@slow
@given(
    st.dictionaries(
        st.lists(names, min_size=1, max_size=3).map(lambda parts: "/x/" + "/x".join(parts)),
        st.binary(max_size=300) | words.filter(bool),
        min_size=1,
        max_size=4,
    ).filter(lambda found: not any(a != b and b.startswith(f"{a}/") for a in found for b in found)),
    st.sampled_from([0o600, 0o644, 0o755, 0o4750, 0o000]),
)
@example({"/x/-rf": b"end\n", "/x/a\nb": b"", "/x/a": b"\0", "/x/*": "-> $HOME\n"}, 0o644)
def test_files_and_links_with_odd_names_and_bytes_are_held_as_they_were_given(
    held: dict[str, bytes | str], mode: int
) -> None:
    items: tuple[Item, ...] = tuple(
        File(path, value, mode) if isinstance(value, bytes) else Link(path, value)
        for path, value in held.items()
    )
    host = MemoryHost()
    apply(host, plan(host, State("odd", items)))
    for path, value in held.items():
        place = host.path(path)
        if isinstance(value, bytes):
            assert place.read_bytes() == value or os.geteuid() != 0
            assert place.stat().st_mode & 0o7777 == mode
        else:
            assert os.readlink(os.fsencode(place)) == os.fsencode(value)  # noqa: PTH115 - bytes
    assert plan(host, State("odd", items)).empty
    apply(host, plan(host, State("odd", ())))
    assert [p for p in host.path("/x").rglob("*") if not p.is_dir()] == []
