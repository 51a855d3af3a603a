"""Going back: whatever dies while the old state is put back, and what of it must not be lost or shown."""

import re
import shutil

import pytest

from hosts.engine import apply, plan
from hosts.errors import ActivationFailed, CheckFailed, Interrupted
from hosts.memory import MemoryHost
from hosts.wire import SCRIPT
from tests.hosts.fleet_of_one import NEW, OLD, host_in_old_state, picture, picture_of, state

ONLY_OLD = 'grep -q old $ROOT/etc/web/site.conf || { echo "it says no"; exit 1; }'

# A tool that is killed with the whole script after it did its work, when its turn has come
TOOLS = ("stat", "sha256sum", "mkdir", "head", "ln", "sync", "mv", "rm", "rmdir", "flock")
DEADLY = """#!/bin/sh
echo TOOL >>"$MEMORY_HOST/steps"
REAL "$@"
code=$?
[ "$(wc -l <"$MEMORY_HOST/steps")" != "$(cat "$MEMORY_HOST/turn")" ] || kill -9 $PPID
exit $code
"""


def deadly_host() -> MemoryHost:
    """A host in the old state on which activation of the new one fails, and tools may kill."""
    host = host_in_old_state(answers={("systemctl",): ONLY_OLD})
    set_turn(host, 0)
    for name in TOOLS:
        host.program(name, DEADLY.replace("REAL", str(shutil.which(name))).replace("TOOL", name))
    return host


def set_turn(host: MemoryHost, turn: int) -> None:
    (host.root.parent / "turn").write_text(f"{turn}\n")
    (host.root.parent / "steps").write_text("")


def test_an_apply_that_fails_and_is_killed_at_any_step_ends_in_the_old_state() -> None:
    old = picture_of(OLD)
    for turn in range(1, 60):
        host = deadly_host()
        found = plan(host, state(NEW))
        set_turn(host, turn)
        try:
            apply(host, found)
        except Interrupted:
            pass
        except ActivationFailed:
            break
        set_turn(host, 0)
        plan(host, state(NEW))
        assert picture(host) == old, turn
    assert turn > 20


def test_a_recovery_that_is_killed_at_any_step_is_finished_by_the_next_one() -> None:
    old = picture_of(OLD)
    for turn in range(1, 60):
        host = deadly_host()
        host.answers({("systemctl",): "kill -9 $PPID"})
        with pytest.raises(Interrupted):
            apply(host, plan(host, state(NEW)))
        host.answers({("systemctl",): "exit 0"})
        set_turn(host, turn)
        try:
            plan(host, state(NEW))
        except Interrupted:
            set_turn(host, 0)
            plan(host, state(NEW))
            assert picture(host) == old, turn
        else:
            break
    assert turn > 5


def test_a_secret_that_a_check_prints_is_masked() -> None:
    host = host_in_old_state()
    host.answers({("check-placed",): 'cat "$ROOT/etc/secret/key"; exit 1'})
    with pytest.raises(CheckFailed) as caught:
        apply(host, plan(host, state(NEW)))
    assert "new secret" not in str(caught.value) + caught.value.words
    assert "(secret)" in caught.value.words


def test_a_file_edited_while_the_apply_fails_is_kept_aside() -> None:
    host = host_in_old_state()
    host.answers({("systemctl",): f"{ONLY_OLD.replace('{', '{ echo edited >$ROOT/etc/web/site.conf;')}"})
    with pytest.raises(ActivationFailed):
        apply(host, plan(host, state(NEW)))
    kept = host.path("/var/lib/gestion/kept").rglob("site.conf")
    assert [path.read_bytes() for path in kept] == [b"edited\n"]
    assert host.read("/etc/web/site.conf") == b"old\n"


def test_the_script_is_constant_and_evaluates_names_of_variables_only() -> None:
    # eval may put numbers and our own group names into a variable's name; values stay behind a backslash
    numbers = {"i", "j", "k", "w", "d", "N", "M", "MADE", "OWNED", "1", "group"}
    for line in SCRIPT.splitlines():
        for evaluated in re.findall(r'\beval "((?:[^"\\]|\\.)*)"', line.replace('eval \\"\\$1\\"', "")):
            names = set(re.findall(r"(?<!\\)\$\{?(\d|\w+)", evaluated))
            assert names <= numbers | {"t"}, line  # t is one of our own five letters
