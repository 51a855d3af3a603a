"""States that no host can hold are refused where they are made."""

import pickle

import pytest

from hosts.errors import CommandFailed, HostError, HostKeyChanged, TimedOut
from hosts.state import STAGED, Absent, BadState, Command, File, Link, State, TcpProbe


@pytest.mark.parametrize(
    "path", ["", "a", "/", "/a/", "//a", "/a/../b", "/a/./b", "/..", "/a\0b", "/" + "a" * 256, "/a" * 2100]
)
def test_a_path_must_be_absolute_and_in_its_shortest_form(path: str) -> None:
    with pytest.raises(BadState):
        File(path, b"")
    with pytest.raises(BadState):
        Link(path, "x")
    with pytest.raises(BadState):
        Absent(path)


@pytest.mark.parametrize("name", ["", "-root", "a b", "a:b", "root\n", "0"])
def test_owner_and_group_must_be_unix_names(name: str) -> None:
    with pytest.raises(BadState):
        File("/a", b"", owner=name)
    with pytest.raises(BadState):
        File("/a", b"", group=name)


def test_a_state_has_each_path_once_and_none_below_another() -> None:
    with pytest.raises(BadState):
        State("a", (File("/a", b""), Absent("/a")))
    with pytest.raises(BadState):
        State("a", (File("/a", b""), File("/a/b/c", b"")))
    with pytest.raises(BadState):
        State("../a", ())


def test_staged_stands_for_an_item_in_a_staged_check_only() -> None:
    item = File("/a", b"")
    check = Command(("test", STAGED("/a")))
    State("a", (item,), checks=(check,))
    with pytest.raises(BadState):
        State("a", (item,), activate=(check,))
    with pytest.raises(BadState):
        State("a", (item,), checks=(Command(("test", STAGED("/a")), in_place=True),))
    with pytest.raises(BadState):
        State(
            "a",
            (item,),
            checks=(
                Command(
                    ("test", STAGED("/b")),
                ),
            ),
        )
    with pytest.raises(BadState):
        State("a", (Absent("/a"),), checks=(check,))


def test_a_secret_is_in_no_repr() -> None:
    assert "pass" not in repr(State("a", (File("/a", b"password", secret=True),)))


def test_probes_and_kinds_that_can_cut_off_wait_for_the_panel() -> None:
    assert not State("a", ()).waits_for_panel
    assert State("a", (), can_cut_off=True).waits_for_panel
    assert State("a", (), probes=(TcpProbe("h", 1),)).waits_for_panel


@pytest.mark.parametrize(
    "error",
    [
        HostError("h", " words\n"),
        CommandFailed("h", "w", command="ls", code=2),
        TimedOut("h", "w", seconds=1.5),
        HostKeyChanged("h", expected="a", found="b", key="c"),
    ],
)
def test_errors_survive_pickling_with_their_sentence(error: HostError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
