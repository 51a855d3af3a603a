"""The whole way: a key and a rule in the panel, the script on a real host, and OpenSSH's own word on who
gets in.
"""

import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from keymanager.desired import CRON
from keymanager.fetch_states import Fetching, fetch_states
from keymanager.fetching import install_script
from keymanager.models import FetchReport, Group, Key
from keymanager.revisions import touch
from servers.models import Server
from tests.keymanager.fetchers import fetching_server, without_cron
from tests.keymanager.fleets import fingerprint_of
from tests.keymanager.panel import running_panel, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
HOST = "backup1"


@pytest.fixture
def panel(transactional_db, fleet, settings):
    with running_panel(fleet.panel_address) as one:
        settings.GESTION_URL = one.url
        settings.ALLOW_PLAIN_HTTP_KEYS = settings.DEMO = True
        yield one


@pytest.fixture
def host(fleet):
    host = fleet[HOST]
    assert host.exec(["useradd", "-m", "-s", "/bin/sh", "dora"]).returncode == 0
    return host


@pytest.fixture
def dora(tmp_path) -> tuple[User, str]:
    """A person with a real key pair: the account and the private key's path."""
    path = tmp_path / "dora"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dora", "-f", str(path)], check=True)
    kind, blob, comment = path.with_suffix(".pub").read_text().split()
    person = User.objects.create(username="dora")
    Key.objects.create(
        person=person, type=kind, blob=blob, comment=comment, bits=256, fingerprint=fingerprint_of(blob)
    )
    return person, str(path)


def gets_in(host, key: str, user: str) -> bool:
    """Whether OpenSSH's client gets in with this key alone."""
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
    ]
    argv = ["ssh", "-F", "none", "-i", key, *(word for option in options for word in ("-o", option))]
    done = subprocess.run(
        [*argv, f"{user}@{host.address}", "id -un"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and done.stdout == f"{user}\n"


def state_of(server: Server) -> Fetching:
    """What the panel shows of it."""
    rows = Server.objects.select_related("fetch_token", "fetch_report").prefetch_related("unix_users")
    return fetch_states(rows)[server.pk].state


def set_up(host, server: Server) -> None:
    """What an admin does by hand: paste the page's script into a root shell."""
    without_cron(server)
    done = host.exec(["sh", "-s"], stdin=install_script(server).encode(), timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_key_lets_in_as_one_user_and_taken_away_it_lets_in_no_more(panel, host, dora) -> None:
    person, key = dora
    server, _token = fetching_server(HOST, "root", "dora")
    group = Group.objects.create(name="doras")
    group.member_users.add(person)
    group.allowed_unix_users.add(server.unix_users.get(name="dora"))
    touch([HOST])
    set_up(host, server)
    assert gets_in(host, key, "dora")
    assert not gets_in(host, key, "root")
    assert wait_until(lambda: state_of(server) == Fetching.CURRENT)

    group.allowed_unix_users.clear()
    touch([HOST])
    assert state_of(server) == Fetching.BEHIND
    time.sleep(1)  # after which the panel answers by nothing that was before: its promise, and no wait for it
    assert host.exec(["/usr/local/sbin/gestion-keys"]).returncode == 0
    assert not gets_in(host, key, "dora")
    assert wait_until(lambda: state_of(server) == Fetching.CURRENT)


def test_cron_fetches_by_itself(panel, host, dora) -> None:
    person, key = dora
    server, _token = fetching_server(HOST, "dora")
    set_up(host, server)
    assert not gets_in(host, key, "dora")
    group = Group.objects.create(name="doras")
    group.member_users.add(person)
    group.allowed_servers.add(server)
    touch([HOST])
    # The minute is chosen last: what came before may take longer than until then, and the next one is an hour later.
    soon = datetime.now(UTC) + timedelta(seconds=75)
    minute = int(host.exec(["date", "-d", f"@{soon.timestamp():.0f}", "+%M"]).stdout)
    assert host.exec(["sed", "-i", f"s/^[0-9]* /{minute} /", CRON]).returncode == 0
    assert f"\n{minute} * * * * root " in host.exec(["cat", CRON]).stdout.decode()
    assert wait_until(lambda: gets_in(host, key, "dora"), 240)
    assert wait_until(lambda: FetchReport.objects.get(server=server).holds not in {"", "none"})


def test_after_a_reboot_the_keys_are_there_still_and_those_taken_away_meanwhile_go(panel, host, dora) -> None:
    """Put back to a snapshot, or off while somebody left, it let that person in until its hour came."""
    person, key = dora
    server, _token = fetching_server(HOST, "dora")
    server.owners.add(person)
    touch([HOST])
    set_up(host, server)
    host.reboot()
    # sshd may be there before systemd lets in others than root (pam_nologin).
    assert wait_until(lambda: gets_in(host, key, "dora"))
    server.owners.clear()
    touch([HOST])
    host.reboot()
    assert wait_until(lambda: state_of(server) == Fetching.CURRENT)
    assert not gets_in(host, key, "dora")
