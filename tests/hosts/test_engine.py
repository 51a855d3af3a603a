"""Plan and apply on a host in memory: what is shown, what is written, whose files they are."""

import pytest

from hosts.engine import apply, plan, recover
from hosts.errors import Busy, Drift, ForeignFile, HostError
from hosts.memory import MemoryHost
from hosts.state import Absent, Command, File, Link, State
from tests.hosts.fleet_of_one import NEW, OLD, host_in_old_state, picture, state


def test_apply_makes_the_host_hold_the_state_in_two_round_trips() -> None:
    host = host_in_old_state()
    before = host.round_trips
    outcome = apply(host, plan(host, state(NEW)))
    assert outcome.changed
    assert host.round_trips - before == 2
    shown = picture(host)
    assert shown["/etc/web/site.conf"] == ("file 640", b"new\n")
    assert shown["/etc/web/more/below/first.conf"] == ("file 750", b"\0first")
    assert shown["/etc/web/more/below"] == ("folder 755", None)
    assert shown["/etc/web/current"] == ("link", "more/below")
    assert shown["/etc/secret/key"] == ("file 600", b"new secret\n")
    assert "/etc/web/gone.conf" not in shown
    assert shown["/etc/hostname"] == ("file 644", b"one\n")
    assert not [path for path in shown if "gestion" in path]


def test_commands_run_in_order_and_the_staged_check_sees_the_new_bytes_before_they_count() -> None:
    host = host_in_old_state(
        answers={
            (
                "check-staged",
            ): 'grep -qx "old\\|new" "$2" || exit 1; grep -qx "old" $ROOT/etc/web/site.conf || '
            "[ ! -e $ROOT/etc/web/site.conf ]",
            ("check-placed",): "grep -qx 'old\\|new' $ROOT/etc/web/site.conf",
        }
    )
    seen = len(host.ran)
    apply(host, plan(host, state(NEW)))
    names = [argv[0] for argv in host.ran[seen:]]
    assert names == ["check-staged", "check-placed", "systemctl", "prove-new", "is-active"]


def test_apply_twice_changes_nothing_and_an_empty_plan_makes_no_second_round_trip() -> None:
    host = host_in_old_state()
    apply(host, plan(host, state(NEW)))
    ran, trips, before = len(host.ran), host.round_trips, picture(host)
    again = plan(host, state(NEW))
    assert again.empty
    assert again.diff == ""
    outcome = apply(host, again)
    assert not outcome.changed
    assert (len(host.ran), host.round_trips, picture(host)) == (ran, trips + 1, before)


def test_the_diff_shows_text_modes_links_and_sizes_but_no_secret() -> None:
    host = host_in_old_state()
    shown = plan(host, state(NEW))
    assert "-old\n+new\n" in shown.diff
    assert "644 root root" in shown.diff
    assert "640 root root" in shown.diff
    assert "-> site.conf" in shown.diff
    assert "binary, 6 bytes" in shown.diff
    assert "secret, 11 bytes" in shown.diff
    assert "new secret" not in shown.diff + repr(shown)
    assert "old secret" not in shown.diff + repr(shown)


def test_a_long_diff_is_cut() -> None:
    host = MemoryHost()
    many = b"".join(b"line %d\n" % number for number in range(5000))
    shown = plan(host, State("long", (File("/etc/long", many),)))
    assert len(shown.diff) < 50_000
    assert "more" in shown.diff


def test_what_is_no_more_wanted_is_removed_and_what_others_wrote_stays() -> None:
    host = host_in_old_state()
    host.write("/etc/web/theirs.conf", b"theirs")
    apply(host, plan(host, state((), checks=(), proofs=())))
    shown = picture(host)
    assert [path for path in shown if path.startswith("/etc/web/")] == ["/etc/web/theirs.conf"]
    assert "/etc/secret/key" not in shown


def test_a_foreign_file_is_shown_and_stops_apply_until_it_is_adopted_and_then_kept_aside() -> None:
    host = MemoryHost(files={"/etc/web/site.conf": b"by hand\n"})
    first = plan(host, state(OLD))
    assert first.foreign == ("/etc/web/site.conf",)
    trips = host.round_trips
    with pytest.raises(ForeignFile) as caught:
        apply(host, first)
    assert caught.value.paths == ("/etc/web/site.conf",)
    assert host.round_trips == trips
    outcome = apply(host, first, adopt=True)
    assert outcome.kept is not None
    assert outcome.kept in outcome.said
    assert host.read(f"{outcome.kept}/etc/web/site.conf") == b"by hand\n"
    assert host.read("/etc/web/site.conf") == b"old\n"
    assert plan(host, state(OLD)).empty


def test_a_folder_where_a_file_should_go_is_never_replaced() -> None:
    host = MemoryHost(files={"/etc/web/site.conf/inside": b""})
    with pytest.raises(ForeignFile):
        apply(host, plan(host, state(OLD)), adopt=True)
    assert host.read("/etc/web/site.conf/inside") == b""


def test_a_foreign_file_with_the_same_bytes_becomes_ours_without_running_anything() -> None:
    host = MemoryHost(files={"/etc/a": b"same"})
    kind = State("one", (File("/etc/a", b"same"),), activate=(Command(("reload",)),))
    found = plan(host, kind)
    assert not found.empty
    assert not found.foreign
    apply(host, found)
    assert host.ran == []
    assert plan(host, kind).empty
    apply(host, plan(host, State("one", ())))
    assert host.read("/etc/a") is None


def test_a_file_of_ours_that_was_edited_or_removed_by_hand_is_shown_as_edited() -> None:
    host = host_in_old_state()
    host.write("/etc/web/site.conf", b"by hand\n")
    host.path("/etc/web/gone.conf").unlink()
    found = plan(host, state(OLD))
    assert {change.path: (change.edited, change.foreign) for change in found.changes} == {
        "/etc/web/site.conf": (True, False),
        "/etc/web/gone.conf": (True, False),
    }
    apply(host, found)
    assert plan(host, state(OLD)).empty


def test_a_change_of_mode_alone_is_drift() -> None:
    host = host_in_old_state()
    host.path("/etc/secret/key").chmod(0o644)
    found = plan(host, state(OLD))
    assert [change.path for change in found.changes] == ["/etc/secret/key"]
    assert "old secret" not in found.diff
    apply(host, found)
    assert host.path("/etc/secret/key").stat().st_mode & 0o777 == 0o600


def test_two_kinds_do_not_touch_each_others_files() -> None:
    host = host_in_old_state()
    apply(host, plan(host, State("other", (File("/etc/other", b"x"),))))
    assert plan(host, state(OLD)).empty
    apply(host, plan(host, State("other", ())))
    assert plan(host, state(OLD)).empty


def test_absent_removes_ours_and_asks_before_it_removes_a_foreign_file() -> None:
    host = MemoryHost(files={"/etc/nginx/default": b"debian"})
    kind = State("nginx", (Absent("/etc/nginx/default"),))
    with pytest.raises(ForeignFile):
        apply(host, plan(host, kind))
    apply(host, plan(host, kind), adopt=True)
    assert host.read("/etc/nginx/default") is None
    assert plan(host, kind).empty


def test_a_link_at_the_target_is_replaced_and_not_written_through() -> None:
    host = MemoryHost(files={"/etc/victim": b"untouched"})
    host.path("/etc/a").symlink_to(host.path("/etc/victim"))
    apply(host, plan(host, State("one", (File("/etc/a", b"ours"),))), adopt=True)
    assert host.read("/etc/victim") == b"untouched"
    assert not host.path("/etc/a").is_symlink()
    host.path("/etc/a").unlink()
    host.path("/etc/a").symlink_to("/nowhere")
    found = plan(host, State("one", (File("/etc/a", b"ours"),)))
    assert found.changes[0].edited
    apply(host, found)
    assert host.read("/etc/a") == b"ours"


def test_a_link_may_take_the_place_of_a_file_and_the_other_way_round() -> None:
    host = MemoryHost()
    apply(host, plan(host, State("one", (File("/etc/a", b"x"),))))
    apply(host, plan(host, State("one", (Link("/etc/a", "b\nc"),))))
    assert host.path("/etc/a").readlink().as_posix() == "b\nc"
    apply(host, plan(host, State("one", (File("/etc/a", b"y"),))))
    assert host.read("/etc/a") == b"y"


@pytest.mark.parametrize("path", ["/etc/web/site.conf", "/etc/web/more/below/first.conf"])
def test_a_change_between_plan_and_apply_is_drift_and_touches_nothing(path: str) -> None:
    host = host_in_old_state()
    found = plan(host, state(NEW))
    host.write(path, b"meanwhile\n")
    before, ran = picture(host), len(host.ran)
    with pytest.raises(Drift):
        apply(host, found)
    assert picture(host) == before
    assert len(host.ran) == ran


def test_an_apply_of_the_same_kind_in_between_is_drift() -> None:
    host = host_in_old_state()
    first, second = plan(host, state(NEW)), plan(host, state(NEW))
    apply(host, second)
    with pytest.raises(Drift):
        apply(host, first)


def test_the_fingerprint_moves_with_what_is_on_the_host() -> None:
    host = host_in_old_state()
    first = plan(host, state(NEW)).fingerprint
    assert plan(host, state(NEW)).fingerprint == first
    host.write("/etc/web/site.conf", b"x")
    assert plan(host, state(NEW)).fingerprint != first


def test_while_another_apply_runs_plan_and_apply_are_busy() -> None:
    host = host_in_old_state(answers={("check-placed",): "touch $ROOT/in; sleep 1"})
    slow = plan(host, state(NEW))
    other = plan(host, State("other", (File("/etc/other", b"x"),)))
    host.cut_after = 0.5
    with pytest.raises(HostError):
        apply(host, slow)
    host.cut_after = None
    with pytest.raises(Busy):
        apply(host, other)
    with pytest.raises(Busy):
        plan(host, state(NEW))
    assert [one.state for one in recover(host)] == ["running", "new"]
