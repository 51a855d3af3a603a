"""Hostile values that forms take are rolled out as values; a row that no file can say keeps no other back."""

import pytest

from backups.models import Backup, RunState
from samba.models import Share
from servers import rollouts
from servers.models import Rollout, RolloutState
from tests.backups.lab_rows import SYSTEM, sh
from tests.backups.lab_rows import ground as backup_ground
from tests.jobs.working import work_off
from tests.samba.lab_rows import ground as samba_ground

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
FOLDER = "/srv/tree/in use; $(touch hit) `touch hit` #'é\" & co"
THERE = "/backups/'tree' $(touch hit) #;é"
MAKE = """
cd /srv/tree; IFS= read -r folder; mkdir -p "$folder/keep" "$folder/#cache" "$folder/- old"
echo x >"$folder/keep/f"; echo y >"$folder/- old/f"
"""


def test_a_backup_of_hostile_folders_is_made_beside_one_that_cannot_be_written(fleet, lab_key):
    place = backup_ground(fleet, lab_key)
    sh(place.here, MAKE, stdin=f"{FOLDER}\n".encode(), check=True)
    fields = {"source_folder": FOLDER, "destination_folder": THERE, "excludes": "/#cache, /- old"}
    Backup(source=place.source, destination=place.server, **fields).full_clean()
    backup = place.backup(**fields)
    Backup.objects.create(  # what no form lets in, as if an earlier version had
        source=place.source, destination=place.server, source_folder="/a\tb", destination_folder="/c"
    )
    rollouts.ask(SYSTEM, place.server, ["rsnapshot"], "test")
    work_off()
    rollout = Rollout.objects.get(server=place.server, kind="rsnapshot")
    assert (rollout.state, rollout.applied) == (RolloutState.FAILED, rollout.wanted)
    assert "files1:/a\tb" in rollout.why
    assert sh(place.there, "ls /etc/gestion/backups/*.conf") == f"/etc/gestion/backups/{backup.uuid}.conf"
    run = place.run(backup)
    assert (run.state, run.error) == (RunState.DONE, "")
    copied = sh(
        place.there,
        'IFS= read -r there; cd "$there/hourly.0/data"; find . -type f',
        stdin=f"{THERE}\n".encode(),
    )
    assert copied == "./keep/f"
    for host in (place.here, place.there):
        assert not sh(host, "find / -xdev -name hit 2>/dev/null; true")


def test_samba_shows_a_hostile_comment_and_goes_on_where_one_cannot_be_written(fleet, lab_key):
    samba = samba_ground(fleet, lab_key)
    photos = samba.share("photos", comment="$(id) `id` 'q' \"d\" #; [global] é 😀")
    samba.share("old")
    samba.in_sync()
    Share.objects.filter(name="old").update(comment='""')
    rollout = samba.again()
    assert (rollout.state, rollout.applied) == (RolloutState.FAILED, rollout.wanted)
    assert "The share old is there without its comment" in rollout.why
    assert f"Disk|photos|{photos.comment}" in samba.sh("smbclient -N -L 127.0.0.1 -g")
    assert samba.as_user(photos, "ls").returncode == 0
    assert samba.as_user(Share.objects.get(name="old"), "ls").returncode == 0
