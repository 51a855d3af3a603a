"""The first login to a new container whose root has its generated password, and not the panel's key."""

from collections.abc import Iterator

import pytest

from accounts.actors import Actor
from hosts.errors import HostKeyUnknown, LoginRefused
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from lab import Fleet, LabHost
from proxmox import first_start
from proxmox.models import Creation
from proxmox.passwords import secret_mark, vm_password
from servers.contact import check
from servers.first_login import log_in_first
from servers.models import Contact, HostKey, Server
from servers.transport import transport
from tests.forwarding.lab_rows import enlist

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")
KEYS = "/root/.ssh/authorized_keys"
BY_PASSWORD = "/etc/ssh/sshd_config.d/90-test.conf"
LOCK = f"""set -e
cp -a {KEYS} /root/keys.before
[ ! -e {KEYS}2 ] || mv {KEYS}2 /root/keys2.before
cp -a /etc/shadow /root/shadow.before
printf 'ssh-ed25519 AAAA other' >{KEYS}
echo PermitRootLogin yes >{BY_PASSWORD}
systemctl restart ssh
chpasswd
"""
UNLOCK = f"""
mv -f /root/keys.before {KEYS}
[ ! -e /root/keys2.before ] || mv -f /root/keys2.before {KEYS}2
mv -f /root/shadow.before /etc/shadow
rm {BY_PASSWORD}
systemctl restart ssh
"""


@pytest.fixture
def rows(fleet: Fleet, lab_key) -> dict[str, Server]:
    return enlist(fleet, lab_key)


@pytest.fixture
def locked(fleet: Fleet, rows: dict[str, Server]) -> Iterator[LabHost]:
    """A host that knows nobody's key but somebody else's, whose root has the password of a created container."""
    host = fleet["files1"]
    before = host.exec(["cat", KEYS, "/etc/shadow"]).stdout
    password = vm_password("pve1", "files1")
    host.exec(["sh", "-c", LOCK], stdin=f"root:{password}\n".encode()).check_returncode()
    transport().pool.close_all()  # type: ignore[attr-defined]  # or one of before is warm, and asks for no key
    yield host
    host.exec(["sh", "-c", UNLOCK]).check_returncode()
    assert host.exec(["cat", KEYS, "/etc/shadow"]).stdout == before


def test_the_generated_password_lets_the_panels_key_in_once(rows, locked, lab_key) -> None:
    server = rows["files1"]
    creation = Creation.objects.create(
        host=rows["pve1"], server=server, hostname="files1", template="t", storage="s", disk=1, memory=1, swap=0,
        cores=1, address="10.0.0.9", prefix_length=24, bridge="vmbr0", password_host="pve1",
        password_server="files1", password_mark=secret_mark(),
    )  # fmt: skip
    run = Run(Job.objects.create(work="proxmox.create", title="x"), Masker())
    assert check(server) == Contact.REFUSED
    assert first_start.reach(run, SYSTEM, creation) == ""
    assert check(server) == Contact.OK
    lines = locked.exec(["cat", KEYS]).stdout.decode().splitlines()
    assert lines == ["ssh-ed25519 AAAA other", lab_key.public]  # the line without an end is still there
    log_in_first(SYSTEM, server, vm_password("pve1", "files1"))
    assert locked.exec(["cat", KEYS]).stdout.decode().splitlines() == lines
    assert vm_password("pve1", "files1") not in "".join(line.text for line in run.take_news().lines)


def test_nothing_is_sent_to_a_host_key_that_nobody_accepted_and_a_wrong_password_changes_nothing(
    rows, locked
) -> None:
    server = rows["files1"]
    before = locked.exec(["cat", KEYS]).stdout
    with pytest.raises(LoginRefused):
        log_in_first(SYSTEM, server, "wrong")
    HostKey.objects.filter(server=server).delete()
    with pytest.raises(HostKeyUnknown):
        log_in_first(SYSTEM, server, vm_password("pve1", "files1"))
    assert locked.exec(["cat", KEYS]).stdout == before
