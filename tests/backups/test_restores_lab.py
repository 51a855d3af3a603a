"""Restores and verifications on real hosts: everything comes back as it was, and nothing goes through a link."""

import re

import pytest

from backups.inside_copies import path_of, token_of
from backups.models import Restore, RunState, TaskState, Verification
from backups.reading_copies import NotInCopy, copies_of, file_part, file_size, read_folder
from backups.services import restores as services
from pages import second_word
from servers.connect import connect
from tests.backups.lab_rows import SOURCE_FOLDER, SYSTEM, _row, ground, sh, state
from tests.backups.test_runs_lab import TREE, listing
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SMALL = TREE.replace("-lt 100", "-lt 12").replace("-lt 50", "-lt 9")
SPOIL = r"""
set -e
cd /srv/tree
rm -r d1 d20 ./-rf "$(printf 'new\nline')"
echo changed >d9/f9; chmod 777 d4/f4; setfacl -b d6; setfattr -x user.note d7/f7
rm "$(printf 'invalid-\377\376-utf8')" sparse
printf '3 4 some texT\n' >d3/f4.new; touch -r d3/f4 d3/f4.new
cat d3/f4.new >d3/f4; touch -r d3/f4.new d3/f4; rm d3/f4.new
rm pipe absolute; ln -s /etc/hostname absolute
"""


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    found = ground(fleet, lab_key)
    sh(found.here, "rm -rf /restored /planted; rm -rf /srv/tree")
    sh(found.here, "mkdir -p /srv/tree")
    return found


def backed_up(place, script: str, **fields):
    """A backup of what the script makes, and the time of its copy."""
    sh(place.here, script, check=True)
    backup = place.backup(**fields)
    run = place.run(backup)
    assert (run.state, run.error) == (RunState.DONE, "")
    state(backup)
    backup.refresh_from_db()
    return backup, copies_of(backup)[0][1]


def look(backup, at: int, path: bytes = b"", **fields) -> Restore:
    """A restore whose preview is there."""
    fields = {"target": backup.source, **fields}
    row = services.ask_restore(SYSTEM, Restore(backup=backup, at=at, path=token_of(path), **fields))
    work_off()
    row.refresh_from_db()
    return row


def restored(backup, at: int, path: bytes = b"", **fields) -> Restore:
    """The same, and then done."""
    return begun(look(backup, at, path, **fields))


def begun(row: Restore) -> Restore:
    """Done, after its preview."""
    assert (row.state, row.error) == (TaskState.READY, "")
    with second_word.second_word():
        services.begin_restore(SYSTEM, row)
    work_off()
    row.refresh_from_db()
    return row


def test_a_hard_tree_comes_back_to_where_it_was_to_another_folder_and_to_another_server(place, fleet):
    backup, at = backed_up(place, TREE.replace("-lt 100", "-lt 60"))
    original = listing(place.here, SOURCE_FOLDER)
    sh(place.here, SPOIL, check=True)
    sh(place.here, "echo extra >/srv/tree/extra")
    row = look(backup, at)
    said = {name: what for what, name in row.changes}
    assert said["-rf"].startswith("<f+++")
    assert said["new\\x0aline"].startswith("<f+++")
    assert said["d3/f4"].startswith("<fc")  # size and date are the same, the content is not
    assert (row.counts["deleted"], row.overwrites) == (0, True)
    assert "extra" not in said
    done = begun(row)
    assert (done.state, done.error) == (TaskState.DONE, "")
    assert (
        sh(place.here, "cat /srv/tree/extra; rm /srv/tree/extra; touch -r /srv/tree/d1 /srv/tree") == "extra"
    )
    again = look(backup, at)
    assert set(again.counts) == {"new", "changed", "deleted", "attributes"}
    assert (again.counts["new"], again.counts["changed"]) == (0, 0)  # the preview is true
    sh(place.here, "echo extra >/srv/tree/extra")
    row = look(backup, at, delete_extra=True)
    assert row.counts["deleted"] == 1
    assert begun(row).state == TaskState.DONE
    assert listing(place.here, SOURCE_FOLDER) == original
    assert len(set(sh(place.here, "cd /srv/tree; stat -c %i d1/f1 d2/linked").split())) == 1
    assert int(sh(place.here, "stat -c %b /srv/tree/sparse")) * 512 < 5_000_000

    assert restored(backup, at, folder="/restored/tree").state == TaskState.DONE
    assert listing(place.here, "/restored/tree") == original

    other = fleet["pve1"]
    server = _row(other)
    other.trust([sh(place.there, "cat ~/.ssh/id_ed25519.pub")])
    sh(other, "rm -rf /restored")
    row = look(backup, at, target=server, folder="/restored")
    assert row.counts["new"] > 3000
    assert sh(other, "ls -A / | grep restored") == ""  # a preview makes nothing
    assert begun(row).state == TaskState.DONE
    assert listing(other, "/restored") == original
    assert restored(backup, at, target=place.server, folder="/restored").state == TaskState.DONE
    assert listing(place.there, "/restored") == original
    sh(place.there, "rm -rf /restored")


def test_single_things_come_back_with_the_modes_of_folders_that_are_missing(place):
    backup, at = backed_up(place, SMALL)
    sh(place.here, "cd /srv/tree; chmod 700 closed; rm -r closed d3 d6")
    assert restored(backup, at, b"closed/secret").state == TaskState.DONE
    assert sh(place.here, "cd /srv/tree; stat -c '%a %U' closed closed/secret") == "700 root\n0 root"
    assert restored(backup, at, b"d6").state == TaskState.DONE
    assert "user:777" in sh(place.here, "getfacl -n /srv/tree/d6/f6")
    for name in (b"-rf", b"new\nline", b"invalid-\377\376-utf8"):
        restored(backup, at, name, folder="/restored")
    assert sh(place.here, "ls /restored | wc -c; cat /restored/-rf").endswith("\nc")
    assert sh(place.here, "find /restored -type f | wc -l") == "4"  # one has a line end in its name


def test_nothing_is_restored_through_a_symbolic_link(place):
    make = "cd /srv/tree; mkdir -p a/b c; echo good >a/b/passwd; echo x >c/d; ln -s a link"
    backup, at = backed_up(place, make)
    before = sh(place.here, "sha256sum /etc/passwd; stat -c '%a %Y %i' /etc /etc/passwd")
    # The attacker puts links to /etc in the way: of a part of the way, of the folder itself, below it.
    for evil in ("rm -r a; ln -s /etc a", "rm -rf a; mkdir a; ln -s /etc a/b"):
        sh(place.here, f"cd /srv/tree; {evil}")
        for path in (b"a/b/passwd", b"a/b", b"a", b""):
            row = look(backup, at, path)
            if row.state == TaskState.READY:
                with second_word.second_word():
                    services.begin_restore(SYSTEM, row)
                work_off()
                row.refresh_from_db()
            else:
                assert (row.state, row.code) == (TaskState.FAILED, "refused")
                assert "symbolic link" in row.error
            assert sh(place.here, "sha256sum /etc/passwd; stat -c '%a %Y %i' /etc /etc/passwd") == before
        assert sh(place.here, "cd /srv/tree; cat a/b/passwd; stat -c %F a") == "good\ndirectory"
    # A folder that somebody typed: also not, whether the link is its end or on the way.
    sh(place.here, "mkdir /planted; ln -s /etc /planted/out; ln -s / /planted/top")
    for folder in ("/planted/out", "/planted/top/etc", "/planted/out/new"):
        row = look(backup, at, b"a/b/passwd", folder=folder)
        assert (row.state, row.code) == (TaskState.FAILED, "refused"), folder
    assert sh(place.here, "sha256sum /etc/passwd; stat -c '%a %Y %i' /etc /etc/passwd") == before
    # And no copy is looked into through a link in it.
    with connect(place.server) as host:
        with pytest.raises(NotInCopy):
            read_folder(host, backup, at, "hourly.0", b"link")
        with pytest.raises(NotInCopy):
            file_size(host, backup, at, b"link/b/passwd")
        with pytest.raises(NotInCopy):
            file_size(host, backup, at, b"link")


def test_what_rsync_says_names_things_as_seen_from_the_folder_that_was_asked_for(place):
    backup, at = backed_up(
        place, "mkdir /srv/tree/sub; echo new >/srv/tree/sub/file; echo new >/srv/tree/file"
    )
    sh(place.here, "mkdir -p /restored/sub && mount -t tmpfs -o ro gestion-test /restored/sub", check=True)
    try:
        row = restored(backup, at, folder="/restored")
        assert row.state == TaskState.INCOMPLETE
        assert '"./sub' in row.output
        assert "Read-only file system" in row.output
        # The file, and the times of its folder.
        assert re.match(
            r"Not everything could be restored\. [12] met a disk that is read-only: rsync: ", row.error
        )
        assert "gestion-restore" not in row.error + row.output
        assert sh(place.here, "cat /restored/file; ls /restored/sub") == "new"
    finally:
        sh(place.here, "umount /restored/sub")


def test_a_target_whose_login_prints_is_told_as_that_and_nothing_is_changed(place):
    backup, at = backed_up(place, "echo new >/srv/tree/file")
    sh(place.here, "echo old >/srv/tree/file; sed -i '1i echo Welcome' ~/.bashrc", check=True)
    row = look(backup, at)
    assert (row.state, row.code) == (TaskState.FAILED, "unclean")
    assert "The login at the target prints something" in row.error
    assert sh(place.here, "cat /srv/tree/file") == "old"


@pytest.mark.parametrize(
    ("cause", "code", "words"),
    [
        ("usermod -s /usr/sbin/nologin root", "no_shell", "This account is currently not available"),
        ("usermod -s /bin/false root", "no_shell", "The target lets this user in, but starts neither"),
        ("sed -i '1i exec tmux' ~/.bashrc", "no_shell", "tmux: not found"),
        ("mv ~/.ssh ~/.away", "denied", "The target does not know the SSH key of root"),
        ("systemctl stop ssh", "connection", "Connection refused"),
    ],
)
def test_why_a_target_lets_nothing_be_restored_is_told_as_runs_tell_it(place, cause, code, words):
    backup, at = backed_up(place, "echo new >/srv/tree/file")
    sh(place.here, cause, check=True)
    row = look(backup, at)
    back = "usermod -s /bin/bash root; [ ! -d ~/.away ] || mv ~/.away ~/.ssh; systemctl start ssh"
    sh(place.here, back, check=True)
    assert (row.state, row.code) == (TaskState.FAILED, code), row.error
    assert words in row.error
    assert "login at the target prints" not in row.error


def test_folders_are_read_and_files_come_byte_for_byte(place):
    backup, at = backed_up(place, SMALL)
    with connect(place.server) as host:
        total, entries = read_folder(host, backup, at, "hourly.0", b"")
        assert total == len(entries) == 12 + 10
        kinds = [entry.kind == "d" for entry in entries]
        assert kinds == sorted(kinds, reverse=True)
        names = {path_of(entry.path): entry for entry in entries}
        assert names[b"new\nline"].name == "new\\x0aline"
        assert names[b"absolute"].link == "/etc/passwd"
        assert names[b"closed"].mode == "700"
        _total, closed = read_folder(host, backup, at, "hourly.0", b"closed")
        assert (closed[0].mode, closed[0].size) == ("0", 2)
        for name, content in ((b"invalid-\377\376-utf8", b"b\n"), (b"-rf", b"c\n"), (b"new\nline", b"a\n")):
            assert file_part(host, backup, at, name, 0) == content
        size = file_size(host, backup, at, b"sparse")
        assert file_part(host, backup, at, b"sparse", size - 4) == b"end\n"
        with pytest.raises(NotInCopy):
            file_size(host, backup, at, b"pipe")
        with pytest.raises(NotInCopy):
            read_folder(host, backup, at + 1, "hourly.0", b"")


def verification(backup) -> Verification:
    row = services.ask_verification(SYSTEM, backup)
    work_off()
    row.refresh_from_db()
    return row


FLIP = r"""
cd /backups/tree/hourly.0/data && touch -r d5/f6 /tmp/when
printf 'X' | dd of=d5/f6 conv=notrunc status=none && touch -r /tmp/when d5/f6
"""


def test_a_verification_finds_a_bit_that_was_flipped(place):
    backup, _at = backed_up(place, SMALL)
    sh(place.there, "mkdir -p /backups/tree/.verify/left")  # by one that the power cut
    row = verification(backup)
    assert (row.state, row.error) == (TaskState.DONE, "")
    assert row.figures["verified"] > 12 * 9
    assert "d5" in sh(place.there, "ls /backups/tree/hourly.0/data")
    assert ".verify" not in sh(place.there, "ls -A /backups/tree")
    sh(place.there, FLIP, check=True)
    row = verification(backup)
    assert (row.state, row.code) == (TaskState.FAILED, "rotten")
    assert "d5/f6" in row.error
    sh(place.there, "rm /var/lib/gestion/backups/*.sums")
    row = verification(backup)  # what nobody verified before is compared with the source
    assert (row.state, row.code) == (TaskState.FAILED, "source")
    assert "d5/f6" in row.error
    assert ".verify" not in sh(place.there, "ls -A /backups/tree")


def test_a_big_copy_is_verified_by_a_sample(place, settings):
    settings.BACKUP_VERIFY_BYTES = 500
    backup, _at = backed_up(place, SMALL)
    row = verification(backup)
    assert (row.state, row.error, row.figures["sampled"]) == (TaskState.DONE, "", "yes")
    assert 0 < row.figures["verified"] < 60
