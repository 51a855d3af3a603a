"""backup-run reads what the panel writes: its own parser, run by sh on this machine."""

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backups.configs import FOLDER
from backups.runner import work_text

SCRIPT = (FOLDER / "backup-run.sh").read_text()
PARSER = SCRIPT[SCRIPT.index("SPEC='") : SCRIPT.index("\nfinish() {")]
NAMES = ("destination", "uuid", "levels", "accept")
LOOK = SCRIPT[SCRIPT.index("PLACE='") : SCRIPT.index("newline='")]
PARTIAL = (FOLDER / "backup-judge.sh").read_text()
values = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=30)


@settings(max_examples=60, deadline=None)
@example(["a=b", " \t x ", "$(touch hit) `id` '\"\\", "-n"])
@example(["uuid=1", "\u2028kind=verify", "\\c\\0101", ""])
@given(st.lists(values, min_size=4, max_size=4))
def test_the_runner_reads_each_value_as_it_was_written(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("run")
    (folder / "spec").write_bytes(work_text(dict(zip(NAMES, told, strict=True))))
    show = "".join(f'printf "%s\\0" "$w_{name}"; ' for name in (*NAMES, "kind"))
    done = subprocess.run(
        ["sh", "-c", f"dir={folder}\n{PARSER}\nread_spec; {show}"],
        capture_output=True,
        check=True,
        cwd=folder,
    )
    assert done.stdout.decode().split("\0")[:-1] == [*told, ""]
    assert [one.name for one in folder.iterdir()] == ["spec"]


@pytest.mark.parametrize("end", ["\n", "\r", "\0"])
def test_a_value_that_would_be_two_lines_is_not_handed_over(end):
    with pytest.raises(ValueError, match="more than one line"):
        work_text({"destination": f"/b{end}kind=verify"})


@pytest.mark.parametrize(
    ("entry", "asked", "unmounted"),
    [
        ("{0}/my\\040disk", "{0}/my disk/web1", "{0}/my disk"),
        ("{0}/plain", "{0}/plain/web1", "{0}/plain"),
        ("{0}/a\\011b", "{0}/a\tb/c", "{0}/a\tb"),
        ("{0}/a\\134b", "{0}/other", ""),
    ],
)
def test_a_disk_whose_folder_has_a_space_is_missed_when_it_is_not_mounted(
    tmp_path: Path, entry, asked, unmounted
):
    fstab = tmp_path / "fstab"
    fstab.write_text(f"# disks\n/dev/sdb1 {entry.format(tmp_path)} ext4 defaults 0 2\n")
    (tmp_path / "my disk").mkdir()
    script = re.sub(r"/etc/fstab", str(fstab), LOOK) + 'printf "%s\\n" "$1" | sh -c "$PLACE"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", asked.format(tmp_path)], capture_output=True, text=True, check=True
    )
    told = dict(line.partition("=")[::2] for line in done.stdout.split("\n"))
    assert told["seen"] == "yes"
    assert told.get("unmounted", "") == unmounted.format(tmp_path)


@pytest.mark.parametrize("destination", ["/backups/web1", "/backups/.sync/web1", "/b/.sync/.sync"])
def test_the_half_done_copy_is_looked_for_beside_the_new_one(destination):
    script = (FOLDER / "backup-transfer.sh").read_text()
    (line,) = [line for line in script.split("\n") if line.strip().startswith("before=${to")]
    done = subprocess.run(
        ["sh", "-c", f'to=$1\n{line}\nprintf %s "$before"', "sh", f"{destination}/.sync/data/"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{destination}/.before/data/"


ACL = "rsync: [sender] get_acl: sys_acl_get_file(a b/c, ACL_TYPE_ACCESS): No such file or directory (2)"
XATTR = 'rsync: [sender] get_xattr_names: llistxattr("/srv/x",1024) failed: No such file or directory (2)'
GONE = 'file has vanished: "/srv/x"'
NO_NOTE = 'rsync: [sender] get_xattr_data: lgetxattr("/srv/a","user.n",0) failed: Permission denied (13)'
CLOSED = 'rsync: [sender] send_files failed to open "/srv/a": Permission denied (13)'
QUOTED = 'rsync: [sender] send_files failed to open "/srv/a "b" c": Permission denied (13)'
FULL = 'rsync: [receiver] write failed on "/b/x": No space left on device (28)'
TORN = 'rsync: [sender] read errors mapping "/srv/y": Input/output error (5)'
MKDIR = 'rsync: [generator] recv_generator: mkdir "/b/x" failed: No such file or directory (2)'
CHOWN = 'rsync: [receiver] chown "/b/.x.AbCdEf" failed: Operation not permitted (1)'
ACL_THERE = "rsync: [receiver] set_acl: sys_acl_set_file(x, ACL_TYPE_ACCESS): Operation not supported (95)"
CANNOT_HOLD = "have ACLs or attributes that the disk of the copies cannot hold"
ACL_MUSL = ACL_THERE.replace("Operation not supported", "Not supported")
TORN_MUSL = 'rsync: [sender] read errors mapping "/srv/y": I/O error (5)'
FULL_MUSL = 'rsync: [receiver] write failed on "/b/x": Quota exceeded (122)'
BAD = 'rsync: [sender] readdir("/srv/z"): Bad message (74)'
NO_ROOM = (
    'rsync: [receiver] rsync_xal_set: lsetxattr("/b/w","user.DOSATTRIB") failed: No space left on device (28)'
)
STALE = 'rsync: [sender] send_files failed to open "/srv/z": Stale file handle (116)'
READ_ONLY = 'rsync: [receiver] mkstemp "/b/.x.AbCdEf" failed: Read-only file system (30)'
SHORTER = 'rsync: [sender] read errors mapping "/srv/log": No data available (61)'
CHANGED = "ERROR: log failed verification -- update discarded."
LONG = "skipping overly long name: x"
UNHEARD = "rsync: [Receiver] safe_write failed to write 4 bytes to socket: Broken pipe (32)"
LOST = "rsync: [receiver] connection unexpectedly closed (117 bytes received so far) [receiver]"
PIPE = "rsync: [generator] write error: Broken pipe (32)"
END = "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1865)"


def gone(count: int) -> list[str]:
    return [f'file has vanished: "/srv/{number}"' for number in range(count)]


@pytest.mark.parametrize(
    ("said", "away", "told"),
    [
        ([ACL], 1, ""),
        ([ACL.replace("[sender] ", ""), XATTR, GONE], 3, ""),
        ([*gone(1), CLOSED, *gone(2), CLOSED.replace("/a", "/b")], 2, f"2 may not be read: {CLOSED}; 2 vanished"),
        ([*gone(40), FULL, *gone(80)], 80, f"1 found no space: {FULL}; 80 vanished"),
        ([TORN, "ERROR: y failed verification -- update discarded.", TORN], 0, f"1 met an error of the disk: {TORN}"),
        ([NO_NOTE, CLOSED], 0, f"1 may not be read: {NO_NOTE}"),
        ([ACL, ACL.replace("ACCESS", "DEFAULT"), ACL.replace("a b/c", "d")], 2, ""),
        (
            [CLOSED, TORN, FULL],
            0,
            f"1 found no space: {FULL}; 1 met an error of the disk: {TORN}; 1 may not be read: {CLOSED}",
        ),
        ([MKDIR], 0, f"1 could not be copied: {MKDIR}"),
        (["a word of the source", "IO error encountered"], 0, "a word of the source\nIO error encountered\n" + END),
        (gone(5000), 5000, "5000 vanished; and more than can be told"),
        ([f"{GONE} $(touch hit) `id`"], 1, ""),
        (['rsync: [sender] get_xattr_data: lgetxattr("/x","user.n",0) failed: No data available (61)'], 1, ""),
        (['rsync: [sender] readlink_stat("/x/y") failed: Not a directory (20)'], 1, ""),
        ([CHOWN, CLOSED], 0, f"1 may not be written: {CHOWN}; 1 may not be read: {CLOSED}"),
        ([CHOWN.replace("[receiver] ", "")], 0, f"1 may not be written: {CHOWN.replace('[receiver] ', '')}"),
        ([ACL_THERE], 0, f"1 have ACLs or attributes that the disk of the copies cannot hold: {ACL_THERE}"),
        ([READ_ONLY, TORN], 0, f"1 met an error of the disk: {TORN}; 1 met a disk that is read-only: {READ_ONLY}"),
        ([LOST, PIPE], 0, f"{LOST}\n{PIPE}\n{END}"),
        ([SHORTER], 0, ""),
        ([SHORTER, GONE, SHORTER], 1, ""),
        (
            [SHORTER, GONE, SHORTER, CHANGED],
            1,
            f"1 changed again and again while they were read: {CHANGED}; 1 vanished",
        ),
        ([GONE, LONG], 1, f"1 could not be copied: {LONG}; 1 vanished"),
        ([QUOTED, QUOTED.replace(" c\"", " d\"")], 0, f"2 may not be read: {QUOTED}"),
        ([CLOSED, TORN_MUSL], 0, f"1 met an error of the disk: {TORN_MUSL}; 1 may not be read: {CLOSED}"),
        ([CLOSED, BAD], 0, f"1 met an error of the disk: {BAD}; 1 may not be read: {CLOSED}"),
        ([CLOSED, FULL_MUSL], 0, f"1 found no space: {FULL_MUSL}; 1 may not be read: {CLOSED}"),
        (
            [ACL_THERE, ACL_MUSL.replace("(x,", "(z,"), LONG, CLOSED],
            0,
            f"1 may not be read: {CLOSED}; 1 could not be copied: {LONG}; 2 {CANNOT_HOLD}: {ACL_THERE}",
        ),
        (
            [NO_ROOM, CLOSED, FULL],
            0,
            f"1 found no space: {FULL}; 1 may not be read: {CLOSED}; 1 {CANNOT_HOLD}: {NO_ROOM}",
        ),
        ([STALE, CLOSED], 0, f"1 met an error of the disk: {STALE}; 1 may not be read: {CLOSED}"),
    ],
)  # fmt: skip
def test_of_what_was_not_copied_the_worst_is_said_first_and_what_went_away_is_no_fault(
    tmp_path: Path, said, away, told
):
    (tmp_path / "errors").write_text("\n".join([*said, END, ""]))
    show = 'printf "%s\\0%s" "$away" "$partial"'
    done = subprocess.run(
        ["sh", "-c", f"dir={tmp_path}\n{PARTIAL}\npartial; {show}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\0") == [str(away), told]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["errors"]


REFUSED = "root@h: Permission denied (publickey)."
LOCKED = 'Load key "/root/.ssh/id_rsa": error in libcrypto'
OPEN = 'Load key "/root/.ssh/id_ed25519": bad permissions'


@pytest.mark.parametrize(
    ("code", "said", "why", "words"),
    [
        (255, [OPEN, REFUSED], "denied", OPEN),
        (255, [LOCKED, REFUSED], "denied", LOCKED),
        (255, [REFUSED], "denied", REFUSED),
        (255, ["no such identity: /root/.ssh/x: No such file or directory", REFUSED], "denied", "no such identity"),
        (12, [LOCKED, "client_loop: send disconnect: Broken pipe", LOST], "connection", "lost, or rsync was killed"),
        (11, [FULL], "low_space", f"is full, so the copying was ended. 1 found no space: {FULL}"),
        (11, [NO_ROOM, TORN], "rsync", f"code 11. 1 met an error of the disk: {TORN}; 1 have ACLs"),
    ],
)  # fmt: skip
def test_the_reason_is_the_one_that_can_be_mended(tmp_path: Path, code, said, why, words):
    for name, lines in (("errors", [*said, ""]), ("facts", ["source_seen=yes", ""]), ("output", [""])):
        (tmp_path / name).write_text("\n".join(lines))
    told = 'finish() { echo "$2 $3"; exit; }; refuse() { echo "$1 $2"; exit; }'
    script = f"dir={tmp_path} rsync_code={code} code=0\n{told}\n. {FOLDER}/backup-judge.sh\njudge"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{why} ")
    assert words in done.stdout


@pytest.mark.parametrize(
    "said", [UNHEARD, "rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]"]
)
@pytest.mark.parametrize(
    ("seen", "more", "why"),
    [
        ("no", "", "no_shell"),
        ("yes", "", "rsync rsync at the source ended before it answered"),
        ("yes", "client_loop: send disconnect: Broken pipe", "connection"),
    ],
)
def test_who_ends_at_once_is_told_the_same_whoever_speaks_first(tmp_path: Path, said, seen, more, why):
    """As /bin/false does: half the time before rsync's own first word, which was taken for a lost connection."""
    end = "rsync error: error in rsync protocol data stream (code 12) at io.c(387)"
    for name, text in (
        ("errors", f"{more}\n{said}\n{end}\n"),
        ("facts", f"source_seen={seen}\n"),
        ("output", ""),
    ):
        (tmp_path / name).write_text(text)
    finish = 'finish() { echo "$2 $3"; exit; }'
    script = f"dir={tmp_path} rsync_code=12 code=0\n{finish}\n. {FOLDER}/backup-judge.sh\njudge"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(why)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "rsync: [sender] write error: Broken pipe (32)\nrsync error: error in file IO (code 11) at io.c(831)\n",
    ],
)
def test_a_target_that_cannot_write_and_whose_words_were_lost_is_told_as_that(tmp_path: Path, said):
    """rsync ends its ssh at once: of a full disk, three times in ten nothing was said but “code 11”."""
    (tmp_path / "errors").write_text(said)
    script = f'dir={tmp_path} rsync_code=11\nfinish() {{ echo "$2 $3"; exit; }}\n. {FOLDER}/backup-judge.sh\n'
    script += f". {FOLDER}/backup-restore.sh\njudge_push"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert done.startswith("rsync The target could not write on, as where its disk is full, ")


@pytest.mark.parametrize("judge", ["ended_by_us", "judge"])  # the watch's clock came first, or rsync's own
@pytest.mark.parametrize("seen", ["yes", "no"])
def test_silence_is_told_the_same_whichever_clock_comes_first(tmp_path: Path, judge, seen):
    own = "[Receiver] io timeout after 6 seconds -- exiting\nrsync error: timeout in data send (code 30)\n"
    said = "bash: line 1: /srv: Is a directory\n" + own * (judge == "judge")
    for name, text in (("errors", said), ("facts", f"source_seen={seen}\n"), ("ended", "hung\n")):
        (tmp_path / name).write_text(text)
    told = 'finish() { echo "$2 $3"; exit; }'
    script = f"dir={tmp_path} rsync_code=30 code=0 w_stall=6\n{told}\n. {FOLDER}/backup-judge.sh\n{judge}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert done.startswith("hung No data came for 6 seconds, so it was ended.")
    assert ("no shell before: it said “bash: line 1: /srv:" in done) is (seen == "no")


@pytest.mark.parametrize("sent", ["", "rv/tree", "\n/srv"])
def test_what_a_login_took_for_itself_is_no_answer_about_another_folder(sent):
    done = subprocess.run(
        ["sh", "-c", LOOK + 'sh -c "$PLACE"'], input=sent, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\nasked=no\n"


def test_a_file_a_folder_and_nothing_are_told_apart(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    kinds = (("file", "file"), ("folder", "folder"), ("nothing", "missing"), ("pipe", "other"))
    for name, state in (
        *kinds,
        *((f"{name}/", state) for name, state in kinds),
    ):  # rsnapshot.conf has the slash
        script = LOOK + 'printf "%s\\n" "$1" | sh -c "$PLACE"'
        done = subprocess.run(
            ["sh", "-c", script, "sh", f"{tmp_path}/{name}"], capture_output=True, text=True, check=True
        )
        assert f"state={state}\n" in done.stdout


@pytest.mark.parametrize("item", ["", "file"])
@pytest.mark.parametrize("how", ["go", "new", "look"])
@pytest.mark.parametrize("there", [True, False])
def test_where_nothing_was_there_when_it_was_looked_at_nothing_is_written_over(
    tmp_path: Path, item: str, how: str, there: bool
):
    """Somebody may put something there after the preview, which counts for a day."""
    target = tmp_path / "a b"
    target.mkdir()
    if there:
        (target / (item or "late")).touch()
    coded = [base64.b64encode(one.encode()).decode() or "-" for one in (str(target), item)]
    script = (FOLDER / "backup-restore.sh").read_text()
    at_target = script[script.index("TO='") + 4 : script.index('\nexec "$@"\'')] + '\nexec "$@"'
    argv = ["sh", "-c", at_target, "gestion-restore", *coded, "-," * 20, how, "echo", "rsync"]
    done = subprocess.run(argv, capture_output=True, check=False, text=True)
    if there and how == "new":
        depth = len(target.parts) - 1
        assert (done.returncode, done.stdout, done.stderr) == (97, "", f"gestion-restore: occupied {depth}\n")
    else:
        assert (done.returncode, done.stdout) == (0, "rsync\n")
        assert ("there" in done.stderr) == there
