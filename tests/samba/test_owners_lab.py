"""Whom a folder belonged to before a share took it over, on a real server: on record, and given back."""

import pytest

from lab import Fleet
from samba.looking import free_name, offers, start_look
from samba.models import FolderLook, FolderReturn, Share
from samba.services.shares import delete_share
from servers.models import RolloutRecord, RolloutState
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey
from tests.samba.lab_rows import BASE, SYSTEM, Ground, ground

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
PICS = f"{BASE}/Carols Pics"
STATE = f"find '{PICS}' -printf '%P %U %G %m\\n' | sort"


@pytest.fixture
def samba(fleet: Fleet, lab_key: LabKey) -> Ground:
    """files1 with a folder of Carol's."""
    samba = ground(fleet, lab_key)
    samba.sh(
        f"useradd -m carol; mkdir -p '{PICS}/2024'; echo a >'{PICS}/2024/a.jpg'; echo b >'{PICS}/b'; "
        f"chmod 640 '{PICS}/b'; chmod 751 '{PICS}/2024'; chown -R carol:carol '{PICS}'; chown :games '{PICS}/b'"
    )
    return samba


def test_a_folder_goes_back_with_its_share_and_the_last_share_too(samba: Ground):
    before = samba.sh(STATE)
    share = samba.share("Carols Pics", adopt=True)
    samba.in_sync()
    share.refresh_from_db()
    assert (share.given_things, share.user) == (3, "smb-carols-pics")
    assert share.given_at is not None
    assert "smb-carols-pics" in samba.sh(f"stat -c %U '{PICS}/2024/a.jpg'")
    samba.as_user(share, "put /etc/hostname new")
    other = samba.share("other")
    samba.in_sync()
    delete_share(SYSTEM, share, give_back=True)
    samba.in_sync()
    assert [
        line for line in samba.sh(STATE).splitlines() if not line.startswith("new ")
    ] == before.splitlines()
    assert samba.sh(f"stat -c %U '{PICS}/new'; getent passwd smb-carols-pics") == "carol"
    assert not FolderReturn.objects.exists()
    assert "was given back" in RolloutRecord.objects.order_by("-pk")[0].said
    delete_share(SYSTEM, other)
    samba.sh(f"rm '{PICS}/new'")
    again = samba.share("Carols Pics", adopt=True)
    samba.in_sync()
    again.refresh_from_db()
    delete_share(SYSTEM, again, give_back=True)
    samba.in_sync()
    assert samba.sh(STATE) == before
    assert samba.sh("ls -A /var/lib/gestion/samba-owners; cat /var/lib/gestion/samba-folders") == ""


def test_what_lies_on_the_server_is_listed_and_taken_over_from_there(samba: Ground):
    samba.sh(f"ln -s /etc {BASE}/link; mkdir {BASE}/'50%off'")
    start_look(SYSTEM, samba.server)
    work_off()
    found = {offer.entry.name: offer for offer in offers(FolderLook.objects.get())}
    assert set(found) == {"Carols Pics", "link", "50%off"}
    pics = found["Carols Pics"].entry
    assert (pics.owner, pics.things, pics.whose) == ("carol", 3, "carol 3")
    assert "%o" in found["50%off"].why_not
    samba.share(free_name(samba.server, pics.name), folder=pics.name, adopt=True)
    samba.in_sync()
    start_look(SYSTEM, samba.server)
    work_off()
    again = {offer.entry.name: offer.why_not for offer in offers(FolderLook.objects.get())}
    assert "It is the folder of the share" in again["Carols Pics"]


def test_a_rollout_that_fails_gives_back_what_it_took(samba: Ground):
    before = samba.sh(STATE)
    old = samba.share("old")
    samba.in_sync()
    samba.sh(
        "sed -i '/^\\[global\\]/a invalid users = smb-carols-pics' /etc/samba/smb.conf; "
        "smbcontrol smbd reload-config"
    )
    share = samba.share("Carols Pics", adopt=True)
    rollout = samba.roll_out()
    assert rollout.state == RolloutState.FAILED
    assert "does not let its user smb-carols-pics in" in rollout.why
    assert samba.sh(STATE) == before
    assert b"NT_STATUS" not in samba.as_user(old, "ls").stdout
    share.refresh_from_db()
    assert share.given_at is None


def test_what_cannot_be_given_back_is_told_and_is_roots_alone(samba: Ground):
    share = samba.share("Carols Pics", adopt=True)
    samba.share("other")
    samba.in_sync()
    samba.sh("rm /var/lib/gestion/samba-owners/*")
    share.refresh_from_db()
    delete_share(SYSTEM, share, give_back=True)
    samba.in_sync()
    assert "could be given back" in RolloutRecord.objects.order_by("-pk")[0].said
    assert samba.sh(f"stat -c '%U %a' '{PICS}'") == "root 700"
    assert not FolderReturn.objects.exists()
    assert Share.objects.get().name == "other"
