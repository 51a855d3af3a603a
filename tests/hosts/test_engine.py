"""Plan and apply on a host in memory, by the same script that runs on real hosts."""

import os

import pytest

from hosts import engine
from hosts.errors import (
    ActivationFailed,
    CheckFailed,
    Drift,
    ForeignFile,
    Interrupted,
    ProofFailed,
    RollbackFailed,
    WriteFailed,
)
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.state import STAGED, Absent, BadState, Command, File, Link, State
from tests.waiting import wait_for

SITE = "/etc/nginx/sites/a.conf"
CHECK = Command(("nginx", "-t"), in_place=True)
RELOAD = Command(("systemctl", "reload", "nginx"))
ACTIVE = Command(("systemctl", "is-active", "nginx"), always=True)
BAD = Result(1, b"", b"line 3: no such thing\n")


def state(content: bytes = b"one\n", **more: object) -> State:
    fields: dict = {"checks": (CHECK,), "activate": (RELOAD,), "proofs": (ACTIVE,), **more}
    return State("nginx", (File(SITE, content),), **fields)


def put(host: MemoryHost, wanted: State, adopt: bool = False) -> engine.Outcome:
    return engine.apply(host, engine.plan(host, wanted), adopt=adopt)


def leftovers(host: MemoryHost) -> list[str]:
    """What an apply may have left beside its result."""
    found = [str(path) for path in host.root.rglob("*") if ".gestion-" in path.name or path.suffix == ".out"]
    runs = host.path("/var/lib/gestion/runs")
    return found + [str(path) for path in (runs.iterdir() if runs.exists() else ())]


def tree(host: MemoryHost) -> dict[str, tuple[int, bytes]]:
    """Every file outside Gestion's own folder, with mode and content."""
    return {
        str(path.relative_to(host.root)): (path.lstat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in host.root.rglob("*")
        if "var/lib/gestion" not in str(path)
    }


def test_a_new_file_is_written_checked_activated_and_proved() -> None:
    host = MemoryHost()
    outcome = put(host, state())
    assert outcome.changed
    assert host.read(SITE) == b"one\n"
    assert host.ran == [CHECK.argv, RELOAD.argv, ACTIVE.argv]
    assert leftovers(host) == []


def test_plan_and_apply_are_one_round_trip_each() -> None:
    host = MemoryHost()
    put(host, state())
    assert host.round_trips == 2


def test_applying_twice_changes_nothing_and_runs_nothing() -> None:
    host = MemoryHost()
    put(host, state())
    before, ran = tree(host), len(host.ran)
    plan = engine.plan(host, state())
    assert plan.empty
    assert not engine.apply(host, plan).changed
    assert tree(host) == before
    assert len(host.ran) == ran
    assert host.round_trips == 3


def test_a_plan_writes_nothing() -> None:
    host = MemoryHost()
    before = tree(host)
    assert not engine.plan(host, state()).empty
    assert tree(host) == before
    assert host.ran == []


def test_the_difference_is_shown_as_unified_text() -> None:
    host = MemoryHost()
    put(host, state(b"a\nb\nc\n"))
    plan = engine.plan(host, state(b"a\nB\nc\n"))
    assert (
        plan.diff
        == f"--- {SITE}\t644 root root\n+++ {SITE}\t644 root root\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    )


def test_modes_are_what_the_state_says_and_a_changed_mode_is_a_change() -> None:
    host = MemoryHost()
    unreadable = [0o000] if os.geteuid() == 0 else []  # only root can look into it
    for mode in (0o600, 0o644, 0o755, 0o4750, 0o440, *unreadable, 0o400):
        wanted = State("k", (File("/etc/a", b"x", mode),))
        put(host, wanted)
        assert host.path("/etc/a").stat().st_mode & 0o7777 == mode
        assert engine.plan(host, wanted).empty
    host.path("/etc/a").chmod(0o666)
    plan = engine.plan(host, State("k", (File("/etc/a", b"x", 0o400),)))
    assert plan.changes[0].edited


def test_links_and_absent_paths_are_made_and_taken_away() -> None:
    host = MemoryHost()
    put(host, State("k", (File("/etc/a", b"a"), Link("/etc/l", "a"))))
    assert host.path("/etc/l").readlink().name == "a"
    put(host, State("k", (Absent("/etc/a"), Link("/etc/l", "/else where\n"))))
    assert not host.path("/etc/a").exists()
    assert str(host.path("/etc/l").readlink()) == "/else where\n"
    assert engine.plan(host, State("k", (Absent("/etc/a"), Link("/etc/l", "/else where\n")))).empty


def test_what_the_state_no_longer_names_is_removed_but_only_what_is_of_its_kind() -> None:
    host = MemoryHost(files={"/etc/theirs": b"theirs"})
    put(host, State("one", (File("/etc/a", b"a"), File("/etc/b", b"b"))))
    put(host, State("two", (File("/etc/c", b"c"),)))
    put(host, State("one", (File("/etc/b", b"b"),)))
    assert {path.name for path in host.path("/etc").iterdir()} == {"theirs", "b", "c"}


def test_a_failing_staged_check_ends_in_the_old_state_and_never_shows_the_new_file() -> None:
    host = MemoryHost()
    put(host, state())
    before, ran = tree(host), len(host.ran)
    check = Command(("check", STAGED(SITE)))
    host.answers({("check",): 'cat "$2"; cat "$ROOT/etc/nginx/sites/a.conf"; echo no >&2; exit 1'})
    with pytest.raises(CheckFailed) as failed:
        put(host, state(b"two\n", checks=(check,)))
    assert failed.value.words == "two\none\nno"
    assert tree(host) == before
    assert len(host.ran) == ran + 1
    assert leftovers(host) == []


def test_a_staged_check_finds_what_does_not_change_in_its_place() -> None:
    host = MemoryHost()
    check = Command(("check", STAGED("/etc/web/a"), STAGED("/etc/web/b")))
    host.answers({("check",): 'cat "$2" "$3" >"$ROOT/etc/found"'})
    for number in (b"one", b"two"):
        put(host, State("web", (File("/etc/web/a", b"same"), File("/etc/web/b", number)), checks=(check,)))
        assert host.read("/etc/found") == b"same" + number


def test_a_staged_check_of_what_does_not_change_is_not_run_again() -> None:
    host = MemoryHost()
    one, two, other = (Command(("check", name)) for name in ("one", "two", "other"))
    one, two = (Command((*check.argv, STAGED(f"/etc/{check.argv[1]}"))) for check in (one, two))
    for content in (b"1", b"2"):
        items = (File("/etc/one", b"same"), File("/etc/two", content))
        put(host, State("two", items, checks=(one, two, other)))
    assert [argv[1] for argv in host.ran] == ["one", "two", "other", "two", "other"]


def test_a_failing_check_in_place_ends_in_the_old_state_without_activation() -> None:
    host = MemoryHost()
    put(host, state())
    before = tree(host)
    host.answers({CHECK.argv: BAD})  # type: ignore[dict-item]
    with pytest.raises(CheckFailed, match="line 3: no such thing") as failed:
        put(host, state(b"two\n"))
    assert "nginx -t" in str(failed.value)
    assert tree(host) == before
    assert host.ran[3:] == [CHECK.argv]
    assert leftovers(host) == []


def test_a_failing_activation_ends_in_the_old_state_activated_again() -> None:
    host = MemoryHost()
    put(host, state())
    before = tree(host)
    host.answers({RELOAD.argv: 'grep -q one "$ROOT/etc/nginx/sites/a.conf" || { echo no; exit 3; }'})  # type: ignore[dict-item]
    with pytest.raises(ActivationFailed, match="no"):
        put(host, state(b"two\n"))
    assert tree(host) == before
    assert host.ran[3:] == [CHECK.argv, RELOAD.argv, RELOAD.argv, CHECK.argv, ACTIVE.argv]
    assert leftovers(host) == []


def test_a_failing_proof_ends_in_the_old_state() -> None:
    host = MemoryHost()
    put(host, state())
    before = tree(host)
    proof = Command(("curl", "x"))
    host.answers({("curl",): BAD})
    with pytest.raises(ProofFailed, match="curl x"):
        put(host, state(b"two\n", proofs=(proof,)))
    assert tree(host) == before
    assert leftovers(host) == []


def test_a_first_apply_that_fails_takes_its_folders_away_again() -> None:
    host = MemoryHost(answers={RELOAD.argv: BAD})  # type: ignore[dict-item]
    before = tree(host)
    with pytest.raises(RollbackFailed):
        put(host, state())  # a reload that never works fails at the put-back as well
    assert tree(host) == before
    host.answers({RELOAD.argv: Result(0), ("prove",): BAD})  # type: ignore[dict-item]
    with pytest.raises(ProofFailed):
        put(host, state(proofs=(Command(("prove",)),)))
    assert tree(host) == before


def test_put_back_commands_take_the_place_of_activation_when_going_back() -> None:
    host = MemoryHost(answers={("down",): BAD})
    back = (Command(("up", "again")),)
    with pytest.raises(ActivationFailed):
        put(host, State("k", (File("/etc/a", b"a"),), activate=(Command(("down",)),), put_back=back))
    assert host.ran == [("down",), ("up", "again")]


def test_a_put_back_that_fails_is_said_loudly_with_the_old_files_in_place() -> None:
    host = MemoryHost()
    put(host, state())
    host.answers({RELOAD.argv: BAD})  # type: ignore[dict-item]
    with pytest.raises(RollbackFailed, match="NOW"):
        put(host, state(b"two\n"))
    assert host.read(SITE) == b"one\n"


def test_a_file_that_activation_itself_changes_back_is_not_called_proved() -> None:
    host = MemoryHost(answers={RELOAD.argv: 'echo theirs >"$ROOT/etc/nginx/sites/a.conf"'})  # type: ignore[dict-item]
    with pytest.raises(ProofFailed):
        put(host, state())
    kept = [path for path in host.path("/var/lib/gestion/kept").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [b"theirs\n"]


def test_a_foreign_change_between_plan_and_apply_stops_it() -> None:
    host = MemoryHost()
    put(host, state())
    plan = engine.plan(host, state(b"two\n"))
    host.write(SITE, b"by hand\n")
    before = tree(host)
    with pytest.raises(Drift):
        engine.apply(host, plan)
    assert tree(host) == before
    assert len(host.ran) == 3
    assert engine.plan(host, state(b"two\n")).changes[0].edited


def test_an_apply_of_the_same_kind_between_plan_and_apply_stops_it() -> None:
    host = MemoryHost()
    plan = engine.plan(host, state(b"two\n"))
    put(host, state())
    with pytest.raises(Drift):
        engine.apply(host, plan)
    assert host.read(SITE) == b"one\n"


def test_a_foreign_file_is_refused_then_adopted_and_kept_aside() -> None:
    host = MemoryHost(files={SITE: b"theirs\n"})
    plan = engine.plan(host, state())
    assert plan.foreign == (SITE,)
    with pytest.raises(ForeignFile, match=SITE):
        engine.apply(host, plan)
    assert host.read(SITE) == b"theirs\n"
    outcome = engine.apply(host, plan, adopt=True)
    assert host.read(SITE) == b"one\n"
    assert outcome.kept
    assert host.read(outcome.kept + SITE) == b"theirs\n"


def test_a_foreign_file_comes_back_as_it_was_when_its_adoption_fails() -> None:
    host = MemoryHost(files={SITE: b"theirs\n"}, answers={CHECK.argv: BAD})  # type: ignore[dict-item]
    host.path(SITE).chmod(0o640)
    before = tree(host)
    with pytest.raises(CheckFailed):
        put(host, state(), adopt=True)
    assert tree(host) == before


def test_a_foreign_file_with_the_same_bytes_is_taken_over_without_a_word() -> None:
    host = MemoryHost(files={SITE: b"one\n"})
    plan = engine.plan(host, state())
    assert plan.foreign == ()
    engine.apply(host, plan)
    assert host.ran == []
    assert engine.plan(host, state()).empty


def test_a_folder_where_a_file_should_go_is_never_adopted() -> None:
    host = MemoryHost(files={f"{SITE}/inside": b"x"})
    with pytest.raises(ForeignFile):
        put(host, state(), adopt=True)
    assert host.read(f"{SITE}/inside") == b"x"


def test_a_file_where_a_folder_should_be_is_an_error_and_stays() -> None:
    host = MemoryHost(files={"/etc/nginx": b"x"})
    before = tree(host)
    with pytest.raises(WriteFailed):
        put(host, state())
    assert tree(host) == before


def cut_off_host() -> MemoryHost:
    """A host on which the connection of an apply is lost, and whose reload is on until `go_on`."""
    waits = 'while [ -d "$ROOT" ] && [ ! -e "$ROOT/run/go" ]; do sleep 0.05; done'
    return MemoryHost(answers={RELOAD.argv: waits})  # type: ignore[dict-item]


def wait_for_the_reload(host: MemoryHost) -> None:
    """Until the apply is in the middle; the connection may be lost before that."""
    wait_for(lambda: RELOAD.argv in host.ran, name="the reload")


def go_on(host: MemoryHost) -> None:
    """Let the reload end."""
    host.write("/run/go", b"")


def test_an_apply_that_is_cut_off_finishes_by_itself_and_says_so_later() -> None:
    host = cut_off_host()
    plan = engine.plan(host, state())
    host.cut_after = 0.3
    with pytest.raises(Interrupted):
        engine.apply(host, plan)
    host.cut_after = None
    wait_for_the_reload(host)
    assert [(one.run, one.state) for one in engine.recover(host)] == [(plan.run, "running")]
    go_on(host)
    wait_for(lambda: engine.recover(host)[0].state != "running", name="the end of the apply")
    assert [(one.run, one.state) for one in engine.recover(host)] == [(plan.run, "new")]
    assert host.read(SITE) == b"one\n"
    assert leftovers(host) == []


def test_a_lost_connection_is_followed_up_over_a_new_one() -> None:
    host = cut_off_host()
    plan = engine.plan(host, state())
    host.cut_after = 0.3
    asked: list[str] = []

    def reconnect() -> MemoryHost:
        host.cut_after = None
        if asked:  # the first time it is told that the apply is running
            go_on(host)
        wait_for_the_reload(host)
        asked.append(plan.run)
        return host

    assert engine.apply(host, plan, reconnect=reconnect).changed
    assert len(asked) > 1
    assert host.read(SITE) == b"one\n"


def test_secrets_are_in_no_difference_no_change_and_no_error() -> None:
    host = MemoryHost(answers={CHECK.argv: 'cat "$ROOT/etc/secret"; exit 1'})  # type: ignore[dict-item]
    secret = File("/etc/secret", b"password = hunter2hunter2\n", 0o600, secret=True)
    wanted = State("k", (secret,), checks=(CHECK,))
    plan = engine.plan(host, wanted)
    assert "hunter2" not in plan.diff + repr(plan)
    assert "(secret, 26 bytes)" in plan.diff
    with pytest.raises(CheckFailed) as failed:
        engine.apply(host, plan)
    assert "hunter2" not in f"{failed.value} {failed.value.words} {failed.value!r}"
    host.write("/etc/secret", b"yesterday\n")
    assert "yesterday" not in engine.plan(host, wanted).diff + repr(engine.plan(host, wanted))


def test_files_too_long_or_not_text_are_described_not_shown() -> None:
    host = MemoryHost(files={"/etc/long": b"x" * 200_000, "/etc/bin": b"\0\xff"})
    plan = engine.plan(host, State("k", (File("/etc/long", b"y"), File("/etc/bin", b"y"))))
    assert "(too long to show, 200000 bytes)" in plan.diff
    assert "(binary, 2 bytes)" in plan.diff


@pytest.mark.parametrize(
    "make",
    [
        lambda: File("etc/a", b""),
        lambda: File("/etc//a", b""),
        lambda: File("/etc/../a", b""),
        lambda: File("/etc/a\0", b""),
        lambda: File("/", b""),
        lambda: File("/a", b"", owner="root; x"),
        lambda: State("Kind", ()),
        lambda: State("k", (File("/a", b""), Absent("/a"))),
        lambda: State("k", (File("/a", b""), File("/a/b", b""))),
        lambda: State("k", (), checks=(Command(("t", STAGED("/a"))),)),
        lambda: Command(()),
        lambda: Command(("a\0",)),
    ],
)
def test_a_state_that_no_host_can_hold_cannot_be_made(make) -> None:
    with pytest.raises(BadState):
        make()
