"""A backup that was changed while nothing can be rolled out: no run copies what it was, called what it is."""

import pytest

from backups.models import RunState
from servers.models import Rollout, RolloutState
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, _row, ground, sh
from tests.backups.test_restores_earlier_lab import changed
from tests.backups.test_restores_lab import backed_up
from tests.backups.test_sources_lab import place as sudo_place
from tests.backups.test_sources_lab import planned as by_sudo
from tests.backups.test_sources_lab import rollout
from tests.backups.test_trying_lab import ALL, broken, tried

__all__ = ["sudo_place"]
pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
OLD = ["was changed", "still the old one"]


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    """A backup server on which nothing can be written to its configuration, once there is a backup with a copy."""
    made = ground(fleet, lab_key)
    yield made
    sh(made.there, "chattr -R -i /etc/gestion/backups")


def shut(place) -> None:
    sh(place.there, "chattr -R +i /etc/gestion/backups", check=True)


def test_no_run_copies_the_old_folder_or_server_and_calls_it_the_new_one(place, fleet):
    backup, _at = backed_up(place, f"cd {SOURCE_FOLDER} && echo old >a")
    sh(place.here, "mkdir /srv/other && echo new >/srv/other/b", check=True)
    shut(place)
    for fields in (
        {"source_folder": "/srv/other"},
        {"source_folder": SOURCE_FOLDER, "source": _row(fleet["web1"])},
        {"source": place.source, "excludes": "/b"},
    ):
        row = changed(backup, **fields)
        assert Rollout.objects.get(server=place.server, kind="rsnapshot").state == RolloutState.FAILED
        broken(row, "login", *OLD)
        run = place.run(row)
        assert (run.state, run.code) == (RunState.FAILED, "no_config")
        assert all(words in run.error for words in OLD)
    assert "hourly.1" not in sh(place.there, f"ls -A {DESTINATION}")


def test_a_change_of_something_else_holds_no_run_up(place):
    backup, _at = backed_up(place, f"cd {SOURCE_FOLDER} && echo old >a")
    shut(place)
    row = changed(backup, keep_daily=9)
    assert Rollout.objects.get(server=place.server, kind="rsnapshot").state == RolloutState.FAILED
    assert tried(row) == (ALL, "")
    assert place.run(row).state == RunState.DONE


def test_nor_the_old_folder_that_a_source_still_lets_be_read_as_root(sudo_place):
    sh(sudo_place.here, "mkdir /srv/other && echo new >/srv/other/b", check=True)
    backup = by_sudo(sudo_place)
    assert tried(backup) == (ALL, "")
    sh(sudo_place.here, "chattr +i /etc/gestion/backup-source", check=True)
    try:
        row = changed(backup, source_folder="/srv/other")
        assert rollout(sudo_place).state == RolloutState.FAILED
        broken(row, "folder", f"read {SOURCE_FOLDER}, and not yet /srv/other")
        run = sudo_place.run(row)
    finally:
        sh(sudo_place.here, "chattr -i /etc/gestion/backup-source")
    assert run.state == RunState.FAILED
    assert "not yet /srv/other" in run.error
