"""What apply would do at each path, by what lies there, what the host's manifest says and what should be there."""

import pytest

from hosts import wire
from hosts.changes import (
    DIFF_CHARACTERS,
    DIFF_LINES,
    Change,
    Owned,
    Seen,
    compare,
    link,
    manifest_text,
    read_content,
    read_manifest,
    read_seen,
    seen_text,
    wanted,
)
from hosts.state import Absent, File, Item, Link, State

NOTHING = Seen("a", "a")
OPEN = File("/f", b"one\n")
SECRET = File("/f", b"one\n", secret=True)


def changes(item: Item, now: Seen, ours: Owned | None, contents: bytes | None = None) -> list[Change]:
    """The changes of a state of one item, at its path."""
    owned = {item.path: ours} if ours else {}
    held = {item.path: contents} if contents is not None else {}
    return list(compare(State(kind="test", items=(item,)), {item.path: now}, owned, held))


def ours(item: Item, *, secret: bool = False) -> Owned:
    """What the manifest says once this item was written."""
    return Owned(wanted(item).entry, secret)


def test_a_file_that_is_as_it_should_be_but_not_known_as_ours_is_recorded_as_ours():
    (change,) = changes(OPEN, wanted(OPEN), None, OPEN.content)
    assert "now recorded as ours" in change.diff
    assert not change.foreign, "its bytes are what we would write: nothing of anybody is replaced"
    assert not change.edited


def test_a_file_that_becomes_a_secret_is_recorded_as_one_though_its_bytes_stay():
    (change,) = changes(SECRET, wanted(SECRET), ours(OPEN), SECRET.content)
    assert change.before is None
    assert change.after is None


def test_a_file_that_was_a_secret_is_shown_by_nobody_on_the_way_to_an_open_one():
    (change,) = changes(File("/f", b"two\n"), wanted(SECRET), ours(SECRET, secret=True), SECRET.content)
    assert change.before is None
    assert change.after is None
    assert "one" not in change.diff
    assert "two" not in change.diff


@pytest.mark.parametrize(("item", "secret"), [(OPEN, False), (SECRET, True), (Link("/l", "f"), False)])
def test_what_is_there_as_it_should_be_and_ours_is_left_alone(item, secret):
    assert changes(item, wanted(item), ours(item, secret=secret), b"one\n") == []


def test_what_is_gone_and_should_be_gone_leaves_the_manifest():
    (change,) = changes(Absent("/f"), NOTHING, ours(OPEN))
    assert not change.edited, "it is as it should be"
    assert not change.foreign
    assert changes(Absent("/f"), NOTHING, None) == []


def test_a_file_of_ours_that_is_no_longer_wanted_goes():
    state = State(kind="test", items=())
    (change,) = compare(state, {"/f": wanted(OPEN)}, {"/f": ours(OPEN)}, {"/f": OPEN.content})
    assert (change.before, change.after) == (b"one\n", None)
    assert (change.before_mode, change.mode) == ("644 root root", "")
    assert not change.foreign
    assert not change.edited


def test_somebody_elses_file_is_foreign_and_is_no_edit_of_ours():
    (change,) = changes(OPEN, wanted(File("/f", b"theirs\n")), None, b"theirs\n")
    assert change.foreign
    assert not change.edited
    assert (change.before, change.after) == (b"theirs\n", b"one\n")


def test_a_file_of_ours_that_somebody_changed_is_edited_and_not_foreign():
    (change,) = changes(OPEN, wanted(File("/f", b"theirs\n")), ours(OPEN), b"theirs\n")
    assert change.edited
    assert not change.foreign


def test_a_file_of_ours_that_only_the_state_changed_is_neither():
    (change,) = changes(File("/f", b"two\n"), wanted(OPEN), ours(OPEN), OPEN.content)
    assert not change.edited
    assert not change.foreign


def test_where_nothing_lies_nothing_is_foreign():
    (change,) = changes(OPEN, NOTHING, None)
    assert not change.foreign
    assert (change.before, change.before_mode, change.mode) == (None, "", "644 root root")


@pytest.mark.parametrize(("kind", "folder"), [("d", True), ("o", True), ("a", False)])
def test_what_cannot_be_replaced_by_a_file_is_told(kind, folder):
    (change,) = changes(OPEN, Seen(kind, kind), None)
    assert change.folder is folder


def test_a_link_is_shown_and_given_by_its_target():
    (change,) = changes(Link("/l", "new"), link(b"old"), ours(Link("/l", "old")))
    assert (change.before, change.after) == (b"old", b"new")
    assert "--> old\n+-> new" in change.diff


def test_another_mode_with_the_same_bytes_is_told_as_such():
    (change,) = changes(File("/f", b"one\n", mode=0o600), wanted(OPEN), ours(OPEN), OPEN.content)
    assert change.diff == "--- /f\t644 root root\n+++ /f\t600 root root\n (the same bytes)\n"


@pytest.mark.parametrize(("lines", "told"), [(DIFF_LINES - 1, ""), (DIFF_LINES, "… 1 more lines")])
def test_a_long_difference_is_cut_with_the_number_of_lines_left_out(lines, told):
    (change,) = changes(File("/f", b"x\n" * lines), NOTHING, None)
    assert change.diff.count("\n+x") == DIFF_LINES - 1
    assert change.diff.endswith(f"\n{told}\n" if told else "\n+x\n")


def test_a_difference_of_few_long_lines_is_cut_by_its_characters():
    room = DIFF_CHARACTERS - len("@@ -0,0 +1 @@\n+")
    (whole,) = changes(File("/f", b"x" * room + b"\n"), NOTHING, None)
    assert "… more" not in whole.diff
    (cut,) = changes(File("/f", b"x" * 3 * DIFF_CHARACTERS), NOTHING, None)
    assert cut.diff.endswith("\n… more\n")
    assert len(cut.diff) < DIFF_CHARACTERS + 200


def test_bytes_that_are_not_the_ones_the_host_told_of_are_not_shown_as_text():
    (change,) = changes(File("/f", b"two\n"), wanted(OPEN), ours(OPEN), b"others\n")
    assert "others" not in change.diff
    assert "binary, 4 bytes" in change.diff


def test_the_manifest_is_read_as_it_was_written_without_what_is_absent():
    items = (Link("/b", "a"), File("/a", b"x", secret=True), Absent("/c"), File("/d", b"y"))
    owned = read_manifest(manifest_text("run1", items))
    assert list(owned) == ["/a", "/b", "/d"]
    assert owned == {
        "/a": ours(items[1], secret=True),
        "/b": ours(items[0]),
        "/d": ours(items[3]),
    }
    assert read_manifest(b"") == {}


@pytest.mark.parametrize("seen", [NOTHING, Seen("d", "d"), Seen("o", "o"), wanted(OPEN), link(b"a b\nc")])
def test_what_a_host_says_of_a_path_is_read_as_it_is_meant(seen):
    assert read_seen(wire.Reader(seen_text(seen))) == seen


@pytest.mark.parametrize(
    "said", ["x", "f", "f 644 root root 1", "f 644 root root -1 ab", "ff 644 root root 1 ab"]
)
def test_what_no_host_says_of_a_path_is_garbled(said):
    with pytest.raises(wire.Garbled):
        read_seen(wire.Reader(wire.lines(said)))


def test_the_bytes_of_a_file_are_taken_by_its_size_and_never_more_than_the_bound():
    assert read_content(wire.Reader(b"one\nrest"), wanted(OPEN)) == b"one\n"
    with pytest.raises(wire.Garbled):
        read_content(wire.Reader(b""), Seen("f", f"f 644 root root {10**15} ab"))
