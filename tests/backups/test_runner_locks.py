"""backup-run where others live: locks that others hold, copies that others could enter, and the clock."""

import os
import subprocess
from pathlib import Path

import pytest

from backups.runner import read_look
from tests.attackers import MALLORY, holding_lock, needs_root

SCRIPT = Path("backups/configs/backup-run.sh")
UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where it keeps what it knows of runs."""
    (tmp_path / "runs/r1").mkdir(parents=True)
    return tmp_path


def script(home: Path) -> str:
    """The very script, but for where it keeps things and how long it waits for somebody else to begin a run."""
    text = SCRIPT.read_text()
    for was, now in (("home=/var/lib/gestion/backups", f"home={home}"), ("flock -w 30 8", "flock -w 1 8")):
        assert was in text
        text = text.replace(was, now)
    return text


def test_a_run_that_cannot_be_begun_says_which_process_has_its_lock(home: Path):
    with holding_lock(home / "runs/r1/lock") as number:
        done = subprocess.run(
            ["sh", "-c", script(home), "backup-run", "start", "r1"],
            capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"process {number} (sleep)" in done.stderr


def test_a_rotation_does_not_wait_for_ever_for_somebody_who_holds_the_copies(home: Path):
    functions, _mark, _rest = script(home).partition("\ncase $command in\n  start)")
    words = f"{functions}\nw_uuid={UUID} w_longest=1 w_kind= monitor= destination=/nowhere; rotate"
    with holding_lock(home / f"{UUID}.copies") as number:
        subprocess.run(["sh", "-c", words, "backup-run", "run", "r1"], timeout=30, check=True)
    facts = (home / "runs/r1/result").read_text()
    assert "why=busy\n" in facts
    assert facts.endswith("state=failed\n")
    assert f"process {number} (sleep)" in facts


def test_who_looks_while_its_end_is_written_down_takes_none_for_ended_that_has_not_told_why(home: Path):
    functions, _mark, _rest = script(home).partition("\ncase $command in\n  start)")
    words = f"{functions}\nw_kind= monitor= began=1; finish failed connection 'No way.'"
    subprocess.run(["sh", "-c", words, "backup-run", "run", "r1"], timeout=30, check=True)
    lines = (home / "runs/r1/result").read_bytes().splitlines(keepends=True)
    assert len(lines) > 4
    for number in range(len(lines)):
        assert not read_look(b"known=yes\nalive=yes\n" + b"".join(lines[:number])).ended
    whole = read_look(b"".join(lines))
    assert (whole.facts["state"], whole.facts["why"], whole.facts["words"]) == (
        "failed", "connection", "No way.",
    )  # fmt: skip


@pytest.mark.parametrize(("marker", "mode"), [(UUID, 0o700), ("another", 0o2775)])
def test_copies_are_closed_to_others_and_no_folder_without_their_marker_is(
    home: Path, marker: str, mode: int
):
    needs_root()
    copies = home / "copies"
    copies.mkdir()
    (copies / ".gestion-backup").write_text(f"{marker}\n")
    os.chown(copies, MALLORY, MALLORY)
    copies.chmod(0o2775)
    functions, _mark, _rest = script(home).partition("\ncase $command in\n  start)")
    words = f"{functions}\nw_uuid={UUID} destination={copies}; close_destination"
    subprocess.run(["sh", "-c", words, "backup-run", "run", "r1"], timeout=30, check=True)
    assert copies.stat().st_mode & 0o7777 == mode
    assert copies.stat().st_uid == (0 if mode == 0o700 else MALLORY)
    assert "open to others" in (home / "runs/r1/output").read_text()


def test_a_clock_that_is_set_in_the_middle_of_a_run_does_not_end_it(home: Path):
    functions, _mark, _rest = script(home).partition("\ncase $command in\n  start)")
    later = f"date() {{ echo 1 >>{home}/asked; echo $(($(wc -l <{home}/asked) * 1000000)); }}"
    facts = f"destination={home} w_stall=600 w_longest=600 w_accept=; started=$(date +%s)"
    with subprocess.Popen(["sleep", "60"]) as copying:
        (home / "runs/r1/rsync.pid").write_text(f"{copying.pid}\n")
        words = f"{functions}\n{later}\n{facts}\nwatch & sleep 5; kill $!"
        subprocess.run(["sh", "-c", words, "backup-run", "run", "r1"], timeout=30, check=True)
        assert copying.poll() is None
        copying.kill()
    assert not (home / "runs/r1/ended").exists()


@pytest.mark.parametrize(("name", "stays"), [("rsnapshot", True), ("another program", False)])
def test_a_lock_of_rsnapshot_that_was_killed_keeps_no_run_from_its_turn_whatever_has_its_number_by_now(
    home: Path, name: str, stays: bool
):
    lock, config = home / "pid", home / "conf"
    config.write_text("backup\tsource:/\tdata/\n")
    functions, _mark, _rest = script(home).partition("\ncase $command in\n  start)")
    words = f"{functions}\nw_config={config} w_lock={lock}; run_config"
    with subprocess.Popen(["sh", "-c", "read line", name], stdin=subprocess.PIPE) as process:
        lock.write_text(str(process.pid))  # as rsnapshot writes it, without a line end
        subprocess.run(["sh", "-c", words, "backup-run", "run", "r1"], timeout=30, check=True)
        process.kill()
    assert lock.exists() == stays
