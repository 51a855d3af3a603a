"""What a unix user of a host can do to the run that writes their keys: nothing that lasts longer than the run."""

import ctypes
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.keymanager.fleets import ed25519_blob
from tests.keymanager.script_host import ADA, ANNA, BEN, BOB, needs_root

pytestmark = needs_root
CYD = f"ssh-ed25519 {ed25519_blob(b'cyd')} cyd@home"
EVE = f"ssh-ed25519 {ed25519_blob(b'eve')} eve@home"
HELD_UP = b"gestion-keys: write: anna: took too long; the last good keys stay\n"
PIDFD_GETFD = 438  # the same on every architecture (pidfd_getfd(2))


@contextmanager
def somebody(uid: int, act: Callable[[], object]) -> Iterator[None]:
    """A process of this uid that does something and then lives on, with all it holds, until the block ends."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            act()
            time.sleep(300)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def taken_from(pid: int, notes: int) -> list[int]:
    """Take all descriptors of a process, note what they are and what else it has. Raises OSError if it may not."""
    libc, place, kept = ctypes.CDLL(None, use_errno=True), Path(f"/proc/{pid}"), []
    environment = (place / "environ").read_bytes().replace(b"\0", b" ")
    pidfd = os.pidfd_open(pid)
    for number in range(256):
        if (taken := libc.syscall(PIDFD_GETFD, pidfd, number, 0)) >= 0:
            kept.append(taken)
            os.write(notes, f"{number} {Path(f'/proc/self/fd/{taken}').readlink()}\n".encode())
            with suppress(OSError):
                fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    about = (place / "stat").read_text().rpartition(") ")[2].split()
    os.write(notes, b"environment %s\n" % environment)
    os.write(notes, f"folder {(place / 'cwd').readlink()}\n".encode())
    os.write(notes, f"session {about[3]} terminal {about[4]} pid {pid}\n".encode())
    os.write(notes, (place / "status").read_bytes())
    return kept


def seize(uid: int, notes: int) -> None:
    """Stop the first process of one's own that comes up, take all its descriptors, say what they are, and let it
    go on.
    """
    mine = os.getpid()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for place in Path("/proc").glob("[0-9]*"):
            pid = int(place.name)
            with suppress(OSError):
                if pid == mine or place.stat().st_uid != uid:
                    continue
                os.kill(pid, signal.SIGSTOP)
                try:
                    kept = taken_from(pid, notes)
                finally:  # one that has just become ours lets nobody look until it runs its program
                    os.kill(pid, signal.SIGCONT)
                time.sleep(3)  # until the run has gone on to others
                for taken in kept:
                    with suppress(OSError):
                        os.write(notes, b"later %s\n" % os.pread(taken, 4000, 0).replace(b"\n", b"|"))
                os.write(notes, b"later: end\n")
                return


def noted_in(folder: Path) -> str:
    """What was noted; of a program that was being loaded, its library is among it, and no text."""
    return (folder / "notes").read_text(errors="replace")


def facts(text: str) -> dict[str, str]:
    """What was noted, by its first word."""
    return dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split(maxsplit=1)) == 2)


def test_a_unix_user_who_takes_the_descriptors_of_a_run_has_nothing_that_stops_the_next(
    host, panel, tmp_path
) -> None:
    notes = os.open(tmp_path / "notes", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    seen: dict[str, str] = {}
    # Descriptors that a caller left open, below and above the ten that sh can name.
    careless = "exec 5</etc/passwd 77</etc/passwd; trap '' INT PIPE; export SECRET=of-the-caller; exec sh $0"
    with somebody(ANNA, lambda: seize(ANNA, notes)):
        for turn in range(30):  # she sees only what runs while she looks: a busy machine lets her miss it
            panel.give({"anna": [[ADA], []][turn % 2], "ben": [BOB], "root": [BOB]})
            run = host.start("bash", "-c", careless, "/etc/gestion/gestion-keys", cwd="/root")
            ours = {f"pipe:[{os.fstat(run.stdout.fileno()).st_ino}]", "/etc/passwd"}
            words = run.communicate(timeout=120)[0]
            code = run.returncode
            # Where she holds the end of a pipe between two programs of hers, her own keys wait, and nobody else's
            assert code == 0 or words.endswith(HELD_UP), words
            assert host.keys() == f"{BOB}\n"
            seen = facts(noted_in(tmp_path))
            if "Umask:" in seen:  # among the last that she notes
                break
        taken = {word: what for word, what in seen.items() if word.isdigit()}
        assert taken.keys() >= {"0", "1", "2"}
        assert not ours & set(taken.values())
        assert seen["0"] == "/dev/null" or seen["0"].endswith("/keys/work/new")
        assert seen["2"] == "/dev/null"
        # A program of the writer's has the new file, which is hers.
        assert seen["1"] == "/dev/null" or seen["1"].startswith("/home/anna/.ssh/.gestion-keys.")
        opened = (
            what for word, what in taken.items() if int(word) > 2
        )  # by the writer itself, as it is loaded too
        its_own = ("pipe:", "/home/anna/", "/usr/", "/etc/ld.so.", "/dev/null")
        assert all(what.startswith(its_own) for what in opened), taken
        panel.give({"anna": [], "ben": [ADA], "root": [ADA]})
        code, words = host.run()
        assert code == 0, words
        assert (host.keys("anna"), host.keys("ben"), host.keys()) == ("", f"{ADA}\n", f"{ADA}\n")
        while "later: end" not in (noted := noted_in(tmp_path)):
            time.sleep(0.1)
        assert "bob@desk" not in noted
    assert "SECRET" not in seen["environment"]
    assert {part.split("=")[0] for part in seen["environment"].split()} <= {
        "PATH",
        "LC_ALL",
        "HOME",
        "PWD",
        "SHLVL",
        "_",
    }
    assert seen["folder"] in {"/", str(host.folder / "home/anna"), "/home/anna"}
    assert seen["session"].split()[0] != str(os.getsid(0))
    assert " terminal 0 " in seen["session"]
    of_glibc = (
        0b11 << 31
    )  # 32 and 33: posix_spawn(3), by which make starts us, ignores them for what it starts
    assert int(seen["SigIgn:"], 16) & ~of_glibc == 0
    assert seen["Umask:"] == "0077"


def test_a_lock_of_the_older_script_that_a_unix_user_kept_is_taken_from_them_and_told(host, panel) -> None:
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    lock = os.open(host.state("lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with somebody(ANNA, bool):
        os.close(lock)
        panel.give({"root": [BOB]})
        code, words = host.run()
        assert (code, host.keys()) == (0, f"{BOB}\n"), words
        assert "lock: held by no run of ours, but by process" in panel.problem
        assert f"of uid {ANNA}" in panel.problem
        assert host.run()[0] == 0
        assert panel.problem == "none"


@pytest.mark.parametrize(
    "home",
    ["ln -s /root", "mkfifo", "ln -s /proc/self/fd", "touch", "ln -s loop"],
    ids=lambda text: text.replace("/", "_"),
)
def test_a_home_that_is_no_folder_or_leads_elsewhere_leads_root_nowhere(host, panel, home) -> None:
    (host.folder / "home/anna").rmdir()
    host.start(
        "sh", "-c", f"cd /home && {home} {'anna' if home != 'ln -s loop' else 'anna; ln -s anna loop'}"
    ).wait()
    before = sorted(host.folder.glob("root/**/*"))
    panel.give({"anna": [ADA], "ben": [BOB]})
    code, words = host.run()
    assert code == 1, words
    assert "write: anna: " in panel.problem
    assert host.keys("ben") == f"{BOB}\n"
    assert sorted(host.folder.glob("root/**/*")) == before


def test_a_writer_that_is_killed_by_its_user_keeps_nobody_elses_keys_away(host, panel) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for place in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if int(place.name) != os.getpid() and place.stat().st_uid == BEN:
                        os.kill(int(place.name), signal.SIGKILL)

    panel.give({"ben": [ADA], "root": [BOB]})
    with somebody(BEN, kill):
        host.run()
    assert host.keys() == f"{BOB}\n"
    assert host.run()[0] == 0
    assert host.keys("ben") == f"{ADA}\n"


def test_a_unix_user_who_was_renamed_by_hand_is_told_and_does_not_pass_for_one_without_keys(
    host, panel
) -> None:
    """usermod --login: the home and what is in it stay, and whoever has left could log in by the other name."""
    told = "write: anna: is called anne here by now, and its authorized_keys2 has the keys still"
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    passwd = host.folder / "etc/passwd"
    renamed = passwd.read_text().replace("anna:x:", "anne:x:")
    passwd.write_text(renamed)
    for given in ({"anna": [BOB], "root": [BOB]}, {"root": [BOB]}, {"root": [BOB]}):  # off the list by and by
        panel.give(given)
        assert host.run()[0] == 1
        assert told in panel.problem
        assert host.keys("anna") == f"{ADA}\n"
    (host.folder / "home/anna/.ssh/authorized_keys2").rename(host.folder / "home/anna/kept")
    assert host.run()[0] == 0
    assert panel.problem == "none"
    (host.folder / "home/anna/kept").rename(host.folder / "home/anna/.ssh/authorized_keys2")
    panel.give({"anne": [BOB], "root": [BOB]})  # as she is called now: it is written as any other
    assert host.run()[0] == 0
    assert host.keys("anna") == f"{BOB}\n"
    panel.give({"root": [BOB]})
    assert host.run()[0] == 0
    assert host.keys("anna") is None
    assert panel.problem == "none"


def test_what_a_renamed_unix_user_has_from_before_is_ours_whatever_the_answers_said_between(
    host, panel
) -> None:
    """Off the list by the old name, then on it by the new: each line was called one that is not from Gestion."""
    panel.give({"anna": [ADA, CYD], "root": [BOB]})
    assert host.run()[0] == 0
    passwd = host.folder / "etc/passwd"
    passwd.write_text(passwd.read_text().replace("anna:x:", "anne:x:"))
    panel.give({"root": [BOB]})
    assert host.run()[0] == 1
    file = host.folder / "home/anna/.ssh/authorized_keys2"
    file.write_text(file.read_text().replace(ADA, f"{ADA}\n{EVE}"))
    panel.give({"anne": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    assert host.keys("anna") == f"{ADA}\n"
    assert panel.problem == "anne: 1 line that was not from Gestion is taken out of authorized_keys2"


def test_who_is_off_the_list_loses_the_keys_also_where_another_new_name_is_no_user_yet(host, panel) -> None:
    """Who puts one name in the place of another on the page: the first fetch takes away, not the one an hour later."""
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    panel.give({"root": [BOB], "zoe": [ADA]})
    assert host.run()[0] == 0
    assert panel.problem == "no-user: zoe is not a user here"
    assert host.keys("anna") is None


def test_two_names_of_one_number_and_home_have_one_file_that_neither_takes_from_the_other(
    host, panel
) -> None:
    """As toor is root: off the list, it took root's keys along for an hour, and the server was “current”."""
    passwd = host.folder / "etc/passwd"
    passwd.write_text(passwd.read_text() + "admin:x:0:0::/root:/bin/sh\n")
    told = "one-file: admin has the number and home of root, whose keys are there"
    for given, keys, problem in (
        ({"admin": [ADA], "root": [BOB]}, BOB, told),
        ({"admin": [ADA], "root": [BOB]}, BOB, told),
        ({"root": [BOB]}, BOB, "none"),
        ({"admin": [BOB], "root": [BOB]}, BOB, told),
        ({"admin": [ADA]}, ADA, "none"),
        ({"admin": [ADA], "root": [BOB]}, BOB, told),
    ):
        panel.give(given)
        assert host.run()[0] == 0
        assert (host.keys(), panel.problem) == (f"{keys}\n", problem)
        assert host.run("--look")[0] == 0
    panel.give({"anna": [ADA]})
    assert host.run()[0] == 0
    assert (host.keys(), panel.problem) == (None, "none")


def test_who_was_renamed_is_told_also_where_somebody_else_has_the_old_name_by_now(host, panel) -> None:
    """usermod --login --move-home, then useradd: the keys under the new name stayed for good, without a word."""
    told = "write: anna: is called annie here by now, and its authorized_keys2 has the keys still"
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    (host.folder / "home/anna").rename(host.folder / "home/annie")
    passwd = host.folder / "etc/passwd"
    moved = passwd.read_text().replace("anna:x:", "annie:x:").replace("/home/anna:", "/home/annie:")
    passwd.write_text(f"{moved}anna:x:{BEN + 50}:{BEN + 50}::/home/anna:/bin/sh\n")
    (host.folder / "home/anna").mkdir(mode=0o700)
    os.chown(host.folder / "home/anna", BEN + 50, BEN + 50)
    for given, keys in (({"anna": [BOB], "root": [BOB]}, f"{BOB}\n"), ({"root": [BOB]}, None)):
        for _ in range(2):
            panel.give(given)
            assert host.run()[0] == 1
            assert told in panel.problem
            assert (host.keys("anna"), host.keys("annie")) == (keys, f"{ADA}\n")
    panel.give({"annie": [BOB], "root": [BOB]})
    assert host.run()[0] == 0
    assert (host.keys("annie"), panel.problem.count("write:")) == (f"{BOB}\n", 0)
    panel.give({"root": [BOB]})
    assert host.run()[0] == 0
    assert (host.keys("annie"), panel.problem) == (None, "none")


def test_a_renamed_unix_user_whose_both_names_leave_the_list_at_once_has_no_keys_still(host, panel) -> None:
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    passwd = host.folder / "etc/passwd"
    passwd.write_text(passwd.read_text().replace("anna:x:", "zanna:x:"))
    panel.give({"anna": [ADA], "root": [BOB], "zanna": [ADA]})
    assert host.run()[0] == 0
    panel.give({"root": [BOB]})
    assert host.run()[0] == 0
    assert (host.keys("anna"), panel.problem) == (None, "none")


def test_what_was_written_for_one_who_left_the_list_without_a_file_is_forgotten(host, panel) -> None:
    """A key that anna put there again by hand passed for one of ours, and was told to nobody."""
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    file = host.folder / "home/anna/.ssh/authorized_keys2"
    file.unlink()
    panel.give({"root": [BOB]})
    assert host.run()[0] == 0
    file.write_text(f"{ADA}\n")
    os.chown(file, ANNA, ANNA)
    panel.give({"anna": [BOB], "root": [BOB]})
    assert host.run()[0] == 0
    assert panel.problem == "anna: 1 line that was there before is in authorized_keys2.before-gestion"


def test_a_copy_of_our_file_at_a_unix_user_who_is_not_on_the_list_is_told(host, panel) -> None:
    """cp -r ~/.ssh /home/sammy, as instructions for new servers have it: who left got in there, and was “gone”."""
    panel.give({"anna": [ADA], "root": [BOB]})
    assert host.run()[0] == 0
    passwd = host.folder / "etc/passwd"
    passwd.write_text(passwd.read_text() + "toor:x:0:0::/root/:/bin/sh\nsam:x:77:77::/home/my sam:/bin/sh\n")
    copy = host.folder / "home/my sam/.ssh/authorized_keys2"
    copy.parent.mkdir(parents=True)
    shutil.copy(host.folder / "root/.ssh/authorized_keys2", copy)
    os.mkfifo(host.folder / "home/ben/.ssh-of-ben")
    (host.folder / "home/ben/.ssh").mkdir()
    (host.folder / "home/ben/.ssh/authorized_keys2").symlink_to("/home/ben/.ssh-of-ben")
    panel.give({"anna": [ADA], "root": [ADA]})
    assert host.run()[0] == 0
    where = "/home/my sam/.ssh/authorized_keys2"
    assert panel.problem == f"copied: {where}: keys from here, at a unix user who is not on the list"
    assert host.run("--forget")[1].count(where) == 1
    assert host.run()[0] == 0
    copy.unlink()
    assert host.run()[0] == 0
    assert panel.problem == "none"


def test_a_file_of_the_list_by_another_way_is_no_copy(host, panel) -> None:
    """A second name of anna's, her home by its own path or with a point (as jails have it), a linked ~/.ssh."""
    panel.give({"anna": [ADA], "root": [BOB]})
    (host.folder / "home/data").mkdir()
    (host.folder / "home/anna").rename(host.folder / "home/data/anna")
    (host.folder / "home/anna").symlink_to("data/anna")
    (host.folder / "home/ben/.ssh").symlink_to("/home/anna/.ssh")
    passwd = host.folder / "etc/passwd"
    for name, home in (("upload", "/home/data/anna"), ("jailed", "/home/./anna")):
        passwd.write_text(f"{passwd.read_text()}{name}:x:{ANNA}:{ANNA}::{home}:/bin/sh\n")
    assert host.run()[0] == 0
    assert panel.problem == "none"
