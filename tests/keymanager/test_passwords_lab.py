"""SSH without passwords on a real host: refused and a key let in, as before when taken back, and never half."""

import time
from collections.abc import Iterator

import paramiko
import pytest

from accounts.actors import Actor
from keymanager.desired_passwords import KIND, PATH
from keymanager.services.passwords import accept_passwords, refuse_passwords
from lab import Fleet, LabHost
from pages.second_word import second_word
from servers import rollouts
from servers.contact import check
from servers.first_login import tries_password
from servers.models import Contact, Rollout, RolloutRecord, Server
from servers.services import look_closer
from servers.transport import transport
from tests.forwarding.lab_rows import enlist
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")
SECRET = "a password of the test's"
MAIN = "/etc/ssh/sshd_config"
OPEN = "/etc/ssh/sshd_config.d/90-test.conf"


@pytest.fixture
def host(fleet: Fleet) -> Iterator[LabHost]:
    """A host whose root and dora log in by password."""
    host = fleet["files1"]
    sh(host, "useradd -m dora")
    host.exec(["chpasswd"], stdin=f"root:{SECRET}\ndora:{SECRET}\n".encode()).check_returncode()
    said = "PermitRootLogin yes\\nPasswordAuthentication yes\\nKbdInteractiveAuthentication yes\\n"  # as cloud-init has
    sh(host, f"printf '{said}' >{OPEN}; systemctl reload ssh")
    wait_for(lambda: lets_in(host, "root"))
    yield host
    transport().pool.close_all()  # type: ignore[attr-defined]
    sh(host, f"rm -f {OPEN} {PATH}; cp {MAIN}.test {MAIN} 2>/dev/null; systemctl restart ssh")


@pytest.fixture
def server(fleet: Fleet, lab_key: LabKey, host: LabHost) -> Server:
    server = enlist(fleet, lab_key)["files1"]
    assert check(server) == Contact.OK
    server.refresh_from_db()
    return server


def sh(host: LabHost, script: str) -> str:
    done = host.exec(["sh", "-c", script], timeout=60)
    return done.stdout.decode() + done.stderr.decode()


def edit(host: LabHost, script: str) -> None:
    """Change sshd_config; the fixture puts it back."""
    sh(host, f"cp -n {MAIN} {MAIN}.test; {script}; systemctl reload ssh")


def by_password(host: LabHost, user: str) -> bool:
    """Whether a real client gets in with the right password."""
    address, port = host.ssh_endpoint
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - the lab's own host
    try:
        client.connect(
            address, port, user, SECRET, allow_agent=False, look_for_keys=False, timeout=10, auth_timeout=10
        )
        return client.exec_command("id -un")[1].read().decode().strip() == user
    except paramiko.AuthenticationException:
        return False
    finally:
        client.close()


def lets_in(host: LabHost, user: str) -> bool:
    """The same while sshd begins anew: until then who is at its door is turned away without a word."""
    try:
        return by_password(host, user)
    except (OSError, paramiko.SSHException):
        return False


def refuse(server: Server) -> Rollout:
    with second_word():
        refuse_passwords(SYSTEM, server)
    work_off()
    return Rollout.objects.get(server=server, kind=KIND)


def test_passwords_are_refused_keys_let_in_and_taken_back_it_is_as_before(host, server, lab_key) -> None:
    before = sh(host, "sshd -T")
    assert "still lets one try" in tries_password(server)
    rollout = refuse(server)
    assert (rollout.state, rollout.why) == ("in_sync", "")
    assert not by_password(host, "root")
    assert not by_password(host, "dora")
    assert lab_key.ssh(host, "echo in").stdout == "in\n"
    assert tries_password(server) == ""
    rollouts.ask(SYSTEM, server, [KIND], "once more")
    work_off()
    assert RolloutRecord.objects.filter(kind=KIND).latest("pk").outcome == "nothing"
    sh(host, "systemctl restart ssh")
    wait_for(lambda: lab_key.ssh(host, "echo in").stdout == "in\n")
    assert not by_password(host, "dora")
    accept_passwords(SYSTEM, server)
    work_off()
    assert Rollout.objects.get(server=server, kind=KIND).state == "in_sync"
    wait_for(lambda: lets_in(host, "root") and lets_in(host, "dora"))
    assert sh(host, f"ls {PATH}").startswith("ls:")
    assert sh(host, "sshd -T") == before


INCLUDE = f"sed -i 's/^Include/#Include/' {MAIN}"
EARLIER = f"sed -i '1i PasswordAuthentication yes' {MAIN}"
BLOCK = f"printf '\\nMatch User dora\\n  passwordauthentication=yes\\n' >>{MAIN}"
INTERACTIVE = f"printf 'KbdInteractiveAuthentication yes\\n' >{PATH.replace('00-', '00-a-')}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (INCLUDE, "has no Include for it"),
        (EARLIER, "something before the Include"),
        (BLOCK, "a Match block takes passwords all the same: /etc/ssh/sshd_config, line "),
    ],
    ids=["no include", "earlier", "match"],
)
def test_where_sshd_would_take_them_all_the_same_it_is_said_and_nothing_is_changed(
    host, server, lab_key, change, words
) -> None:
    edit(host, change)
    time.sleep(0.5)
    rollout = refuse(server)
    assert rollout.state == "failed"
    assert words in rollout.why
    assert sh(host, f"ls {PATH}").startswith("ls:")
    assert by_password(host, "dora")
    assert lab_key.ssh(host, "echo in").stdout == "in\n"


def test_an_sshd_that_was_not_told_is_noticed_from_outside_and_the_file_goes_again(host, server) -> None:
    unit = "/run/systemd/system/ssh.service.d"
    sh(host, f"mkdir -p {unit}; printf '[Service]\\nExecReload=\\nExecReload=/bin/true\\n' >{unit}/t.conf")
    sh(host, "systemctl daemon-reload")
    try:
        rollout = refuse(server)
    finally:
        sh(host, f"rm -r {unit}; systemctl daemon-reload")
    assert rollout.state == "failed"
    assert "still lets one try a password" in rollout.why
    assert sh(host, f"ls {PATH}").startswith("ls:")
    assert by_password(host, "dora")


def test_passwords_that_somebody_lets_in_again_are_drift(host, server) -> None:
    assert refuse(server).state == "in_sync"
    edit(host, EARLIER)
    sh(host, INTERACTIVE)
    work_off()
    look_closer(SYSTEM, server, [KIND])
    work_off()
    rollout = Rollout.objects.get(server=server, kind=KIND)
    assert rollout.state == "drifted"
    assert "sshd still says" in rollout.diff
