"""A source that the backup server reaches through its Proxmox host: what breaks there is told as that, by each way."""

import pytest
from django.utils import timezone

from backups.models import RunState, TaskState
from servers.models import HostKey, Server
from tests.backups.lab_rows import SOURCE_FOLDER, ground, sh
from tests.backups.test_restores_lab import backed_up, look
from tests.backups.test_trying_lab import broken

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
CONFIG = "/etc/ssh/sshd_config; systemctl restart ssh"
CAUSES = {
    "it does not know the key": (
        "pve1", "mv ~/.ssh ~/.away", "denied", ["The host on the way to the source does not know", "Permission denied"],
    ),
    "it shows another host key": (
        "pve1", "rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh", "host_key",
        ["The host on the way to the source shows another host key"],
    ),
    "it leads on to nobody": (
        "pve1", f"sed -i '1i AllowTcpForwarding no' {CONFIG}", "denied",
        ["The host on the way to the source does not lead on to it", "AllowTcpForwarding", "prohibited"],
    ),
    "it is off": ("pve1", "systemctl stop ssh", "connection", ["Connection refused"]),
    "the source is off": ("files1", "systemctl stop ssh", "connection", ["connect failed: Connection refused"]),
    "the source does not know the key": (
        "files1", "mv ~/.ssh ~/.away", "denied", ["The source does not know", "Permission denied"],
    ),
}  # fmt: skip


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    made = ground(fleet, lab_key)
    host = fleet["pve1"]
    host.trust([sh(made.there, "cat ~/.ssh/id_ed25519.pub")])
    row = Server.objects.create(name=host.name, keymanager_name=host.name, ssh_connection=host.connection)
    HostKey.objects.create(server=row, key=host.host_key, fingerprint="of pve1", pinned_at=timezone.now())
    Server.objects.filter(pk=made.source.pk).update(
        ssh_connection="", internal_ip=made.here.address, external_ip=None, is_vm=True, vm_host=row
    )
    made.source.refresh_from_db()
    return made


@pytest.mark.parametrize("cause", CAUSES)
def test_what_breaks_on_the_way_is_told_as_that(place, fleet, cause):
    backup, at = backed_up(place, f"echo one >{SOURCE_FOLDER}/a")
    where, script, code, words = CAUSES[cause]
    sh(fleet[where], script, check=True)
    broken(backup, "login", *words)
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.FAILED, code), run.error
    row = look(backup, at)
    assert (row.state, row.code) == (TaskState.FAILED, code), row.error
    for word in words:
        assert word in run.error
        assert word.replace("source", "target") in row.error


def test_a_source_that_speaks_as_ssh_does_of_the_way_and_then_for_ever_fills_no_disk(fleet, lab_key) -> None:
    made = ground(fleet, lab_key)
    backup, _at = backed_up(made, f"echo one >{SOURCE_FOLDER}/a")
    forced = """cat >/root/hostile <<'X'
[ -e /root/once ] || { touch /root/once; echo 'Connection closed by UNKNOWN port 65535' >&2; exit 255; }
head -c 300000000 /dev/zero | tr '\\0' x >&2 && touch /root/all
X
sed -i 's|^ssh-|command="sh /root/hostile" ssh-|' ~/.ssh/authorized_keys*"""
    sh(made.here, forced, check=True)
    run = made.run(backup)
    assert (run.state, run.code) == (RunState.FAILED, "connection"), run.error
    assert sh(made.here, "ls /root").split() == ["hostile", "once"]
