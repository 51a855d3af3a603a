"""Two admins at once: of those that want one folder, only one gets it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.actors import Actor
from backups.models import Backup
from backups.services.plans import create_backup

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def test_of_those_that_want_one_folder_at_once_one_gets_it(rows):
    folders = ["/backups/a", "/backups/a/b", "/backups/a/b/c", "/backups/a", "/backups/a/x"]
    start = Barrier(len(folders))

    def add(folder: str) -> object:
        start.wait()
        try:
            return create_backup(Actor.system("admin"), rows.unsaved(destination_folder=folder))
        except ValidationError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(folders)) as threads:
        made = list(threads.map(add, folders))
    refused = [error for error in made if isinstance(error, ValidationError)]
    assert all("destination_folder" in error.message_dict for error in refused)
    kept = [backup.destination_folder for backup in made if isinstance(backup, Backup)]
    assert not any(one != two and one.startswith(f"{two}/") for one in kept for two in kept)
    assert len(set(kept)) == len(kept)
