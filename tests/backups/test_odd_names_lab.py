"""Folders and files as people name them: backed up, looked into, verified and restored as they are."""

import base64
import os

import pytest

from backups.inside_copies import path_of
from backups.models import Backup, RunState, TaskState
from backups.reading_copies import file_part, file_size, read_folder
from backups.rules import problems
from backups.services import restores as services
from backups.services.plans import create_backup
from pages import second_word
from servers.connect import connect
from tests.backups.lab_rows import SYSTEM, ground, sh, state
from tests.backups.test_restores_lab import look, restored
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
# The source, beside it folders that it would mean as a pattern, and where the copies go.
FOLDERS = [
    ("/srv/tmp [1]", ["/srv/tmp 1"], "/backups/Carols [1] Pics"),
    (r"/srv/a*b?c\d[!x]", ["/srv/aXbXcd", "/srv/ab", "/srv/a*b?cdy"], r"/backups/a*b?c\d[x]"),
    (r"""/srv/$(touch /owned) `id` 'q' "d";&|#%~é=data$/[Büro]""", [], r"""/backups/$HOME 'q' "d" ;&|#%é"""),
    (r"/srv/plain\name", [r"/srv/plainname"], "/backups/José.2024 (alt)"),
    ("/srv/-rf [x]/.data.", ["/srv/-rf x/.data."], "/backups/-rf {a,b}"),
]
NAMES = [
    b"[x]", b"a*b", b"-rf", b"$(touch owned)", b"'q' \"d\"", b"new\nline", b"not-\377\376-utf8", b"n" * 255, b"space ",
    b" first", b"back\\slash\\", b"\xe2\x80\xaeright", b"\\#012", b"~", b"a:b", b"%41&?#", b"-", b"tab\there", b"..x",
]  # fmt: skip


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    return ground(fleet, lab_key)


def write(host, folder: str | bytes, name: bytes, content: bytes) -> None:
    """A file, whatever it is called."""
    path = base64.b64encode(os.fsencode(folder) + b"/" + name).decode()
    script = f"""p=$(printf %s {path} | base64 -d; printf x); p=${{p%x}}
        mkdir -p -- "${{p%/*}}" && cat >"$p" """
    sh(host, script, content, check=True)


def backed_up(place, folder: str, destination: str, **fields) -> tuple[Backup, int]:
    made = Backup(source=place.source, destination=place.server, source_folder=folder,
                  destination_folder=destination, **fields)  # fmt: skip
    create_backup(SYSTEM, made)
    work_off()
    run = place.run(made)
    assert (run.state, run.error) == (RunState.DONE, ""), run.output
    state(made)
    made.refresh_from_db()
    return made, made.state.copies[0][1]


@pytest.mark.parametrize(("folder", "decoys", "destination"), FOLDERS)
def test_a_folder_is_backed_up_verified_and_restored_whatever_it_is_called(
    place, folder, decoys, destination
):
    write(place.here, folder, b"f", b"the one")
    write(place.here, folder, b"cache [1]/x", b"left out")
    for decoy in decoys:
        write(place.here, decoy, b"f", b"another")
        write(place.here, decoy, b"more", b"another")
    backup, at = backed_up(place, folder, destination, excludes="/cache [1]")
    assert backup.state.source_place  # the guard found it
    with connect(place.server) as host:
        _total, entries = read_folder(host, backup, at, "hourly.0", b"")
        assert [entry.name for entry in entries] == ["f"]
        assert file_part(host, backup, at, b"f", 0) == b"the one"
    verification = services.ask_verification(SYSTEM, backup)
    work_off()
    verification.refresh_from_db()
    assert (verification.state, verification.error, verification.figures.get("source")) == (
        TaskState.DONE,
        "",
        None,
    )
    write(place.here, folder, b"f", b"spoilt")
    assert restored(backup, at).state == TaskState.DONE
    assert restored(backup, at, folder="/restored/[*] 'x' $(y)").state == TaskState.DONE
    said = sh(place.here, "find /srv /restored -name f -exec cat {} +; ls /")
    assert said.count("the one") == 2
    assert said.count("another") == len(decoys)
    assert "spoilt" not in said
    assert "owned" not in said + sh(place.there, "ls /")


def test_single_files_are_seen_downloaded_and_restored_whatever_they_are_called(place):
    for number, name in enumerate(NAMES):
        write(place.here, "/srv/tree", name, b"%d" % number)
    backup, at = backed_up(place, "/srv/tree", "/backups/tree")
    with connect(place.server) as host:
        _total, entries = read_folder(host, backup, at, "hourly.0", b"")
        assert {path_of(entry.path) for entry in entries} == set(NAMES)
        for number, name in enumerate(NAMES):
            assert file_size(host, backup, at, name) == len(str(number))
            assert file_part(host, backup, at, name, 0) == b"%d" % number, name
    for name in NAMES:
        row = look(backup, at, name, folder="/restored")
        assert (row.state, row.counts["new"]) == (TaskState.READY, 1), (name, row.error)
        with second_word.second_word():
            services.begin_restore(SYSTEM, row)
        work_off()
        row.refresh_from_db()
        assert (row.state, row.error) == (TaskState.DONE, ""), name
    found = place.here.exec(["find", "/restored", "-type", "f", "-printf", r"%f\0"]).stdout
    assert set(found.split(b"\0")) - {b""} == set(NAMES)
    assert sh(place.here, "cd /restored && find . -type f -exec cat {} + | wc -c") == str(
        sum(len(str(number)) for number in range(len(NAMES)))
    )


def test_a_file_is_no_folder_and_is_called_one(place):
    backup = place.backup(source_folder="/etc/hostname")
    assert problems(backup) == {}
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "source_missing")
    assert "is a file, not a folder" in run.error
