"""Copies that were made before their backup was changed, or by a run that could not read everything, on real hosts."""

import pytest

from backups.models import Backup, RunState, TaskState
from backups.reading_copies import copies_of
from backups.services import restores as services
from backups.services.plans import change_backup
from pages.second_word import second_word
from tests.backups.lab_rows import SOURCE_FOLDER, SYSTEM, ground, sh
from tests.backups.test_restores_lab import backed_up, look, restored
from tests.backups.test_trying_lab import as_user
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
MAKE = f"cd {SOURCE_FOLDER} && echo old >a && mkdir uploads && echo precious >uploads/p"


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    return ground(fleet, lab_key)


def changed(backup: Backup, **fields) -> Backup:
    """The same with other fields, rolled out."""
    row = Backup.objects.get(pk=backup.pk)
    for name, value in fields.items():
        setattr(row, name, value)
    with second_word():
        change_backup(SYSTEM, row, version=row.version)
    work_off()
    return row


def test_a_copy_of_another_folder_does_not_come_to_where_its_backup_copies_now(place):
    backup, at = backed_up(place, MAKE)
    sh(place.here, "mkdir /srv/other && echo mine >/srv/other/mine", check=True)
    backup = changed(backup, source_folder="/srv/other")
    with pytest.raises(services.RestoreRefused, match=f"is of {SOURCE_FOLDER} on files1"):
        look(backup, at, delete_extra=True)
    row = restored(backup, at, folder="/srv/again")
    assert sh(place.here, "cat /srv/again/a; ls /srv/other") == "old\nmine", row.error
    assert place.run(backup).state == RunState.HELD  # it has shrunk
    backup = changed(backup, source_folder=SOURCE_FOLDER)
    assert look(backup, at).state == "ready"


def test_a_copy_of_another_folder_is_not_compared_with_the_one_of_now(place):
    backup, _at = backed_up(place, f"cd {SOURCE_FOLDER} && echo old >a && touch -d 2020-01-01 a")
    sh(
        place.here,
        "mkdir /srv/other && echo new >/srv/other/a && touch -d 2020-01-01 /srv/other/a",
        check=True,
    )
    backup = changed(backup, source_folder="/srv/other")
    row = services.ask_verification(SYSTEM, backup)
    work_off()
    row.refresh_from_db()
    assert (row.state, row.error, row.figures["source"]) == (TaskState.DONE, "", "no")


def test_what_was_left_out_when_the_copy_was_made_stays(place):
    backup, at = backed_up(place, MAKE, excludes="/uploads")
    backup = changed(backup, excludes="")
    sh(place.here, f"echo extra >{SOURCE_FOLDER}/extra")
    restored(backup, at, delete_extra=True)
    assert sh(place.here, f"cd {SOURCE_FOLDER} && find . -type f | sort") == "./a\n./uploads/p"
    assert place.run(backup).state == RunState.DONE
    newest = max(made for _name, made in copies_of(Backup.objects.get(pk=backup.pk)))
    sh(place.here, f"echo extra >{SOURCE_FOLDER}/uploads/extra")
    restored(Backup.objects.get(pk=backup.pk), newest, delete_extra=True)
    assert sh(place.here, f"cd {SOURCE_FOLDER} && find . -type f | sort") == "./a\n./uploads/p"


def test_that_a_copy_is_not_whole_is_said_before_anything_is_deleted_for_it(place):
    as_user(place)
    sh(place.here, f"{MAKE} && chmod 700 uploads", check=True)
    backup = place.backup()
    assert place.run(backup).state == RunState.INCOMPLETE
    place.source.backup_ssh_connection = ""
    place.source.save()
    backup = Backup.objects.get(pk=backup.pk)
    at = copies_of(backup)[0][1]
    said = services.warnings(look(backup, at, delete_extra=True))
    assert "could not read everything" in said[-1]
    assert "could not read everything" not in " ".join(services.warnings(look(backup, at)))
