"""The difference between two states, before anything is asked of a host."""

from hosts.changes import difference_of
from hosts.state import Absent, File, Link, State


def state(*items: File | Link | Absent) -> State:
    return State(kind="test", items=items)


def test_changed_new_and_removed_files_are_shown_and_the_others_are_not():
    before = state(File("/a", b"one\n"), File("/b", b"same\n"), File("/c", b"old\n"), Link("/l", "a"))
    after = state(File("/a", b"two\n"), File("/b", b"same\n"), File("/d", b"new\n"), Link("/l", "b"))
    lines = difference_of(before, after).splitlines()
    assert {"-one", "+two", "-old", "+new", "--> a", "+-> b"} <= set(lines)
    assert "/b" not in " ".join(lines)
    assert "+++ /d\t644 root root" in lines


def test_the_same_state_has_no_difference():
    one = state(File("/a", b"one\n"), Absent("/b"))
    assert not difference_of(one, one)
    assert not difference_of(None, None)


def test_without_a_state_all_of_it_comes_or_goes():
    one = state(File("/a", b"one\n"))
    assert "+one" in difference_of(None, one)
    assert "-one" in difference_of(one, None)


def test_secrets_are_not_shown():
    before = state(File("/key", b"hush\n", mode=0o600, secret=True))
    after = state(File("/key", b"quiet!\n", mode=0o600, secret=True))
    shown = difference_of(before, after)
    assert "secret, 5 bytes" in shown
    assert "secret, 7 bytes" in shown
    assert "hush" not in shown
    assert "quiet" not in difference_of(None, after)
