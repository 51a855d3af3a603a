"""A key put by hand into authorized_keys2 of a real host: found by a look, by a fetch, told, taken out, and kept."""

import subprocess
from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from jobs.models import JobState
from keymanager import fetching
from keymanager.fetch_states import Fetching
from keymanager.found_lines import TOPIC
from keymanager.look_models import FoundLine, KeyLook
from keymanager.models import FetchReport
from keymanager.tokens import give_token
from notifications.models import Message, Subscription
from servers import services
from servers.models import PanelIdentity, Rollout, RolloutState, Server, UnixUser
from servers.transport import transport
from tests.keymanager.fetchers import without_cron
from tests.keymanager.panel import running_panel, wait_until
from tests.keymanager.test_login_lab import gets_in, state_of
from tests.servers.conftest import ACTOR, work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
HOST = "backup1"
JSON = {"Accept": "application/json"}
SCRIPT = "/usr/local/sbin/gestion-keys"
KEYS2 = "/root/.ssh/authorized_keys2"


@pytest.fixture
def panel(transactional_db, fleet, lab_key, settings) -> Iterator[None]:
    PanelIdentity.objects.create(pk=1, private_key=lab_key.private, public_key=lab_key.public)
    with running_panel(fleet.panel_address) as one:
        settings.GESTION_URL = one.url
        settings.ALLOW_PLAIN_HTTP_KEYS = settings.DEMO = True
        yield
    transport().pool.close_all()  # type: ignore[attr-defined]  # the real one, by SSH


@pytest.fixture
def host(fleet):
    return fleet[HOST]


@pytest.fixture
def admin(panel) -> tuple[User, Client]:
    person = User.objects.create_superuser("ada", "correct horse battery", email="ada@example.org")
    Subscription.objects.create(person=person, topic=TOPIC.name)
    client = Client()
    client.force_login(person)
    return person, client


@pytest.fixture
def server(panel, host) -> Server:
    """The host, which fetches for root and dora; its own authorized_keys is as it was."""
    assert host.exec(["useradd", "-m", "-s", "/bin/sh", "dora"]).returncode == 0
    row = services.create_server(
        ACTOR, Server(name=HOST, ssh_connection=host.connection), unix_users=["root", "dora"]
    )
    work_off()
    services.accept_host_key(ACTOR, row.host_keys.get())
    work_off()
    fetching.install(ACTOR, row)
    without_cron(row)
    work_off()
    assert Rollout.objects.get().state == RolloutState.IN_SYNC, Rollout.objects.get().why
    assert wait_until(lambda: state_of(row) == Fetching.CURRENT)
    return row


@pytest.fixture
def eve(tmp_path) -> tuple[str, str, str]:
    """A key pair that the panel does not know: the private key's path, the public line, the fingerprint."""
    path = tmp_path / "eve"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "eve@cafe", "-f", path], check=True)
    public = path.with_suffix(".pub")
    said = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True)
    return str(path), public.read_text().strip(), said.stdout.split()[1]


def by_hand(host, line: str) -> None:
    """As somebody with an editor: between the marks."""
    assert host.exec(["sed", "-i", f"$i {line}", KEYS2]).returncode == 0


def read(host, path: str) -> bytes:
    return host.exec(["cat", path]).stdout


def look(client: Client, server: Server) -> Rollout:
    answer = client.post(f"/servers/{server.pk}/rollouts/keys/look/")
    assert answer.status_code == 302
    assert all(job.state == JobState.DONE for job in work_off())
    return Rollout.objects.get(server=server)


def test_a_look_finds_a_key_by_hand_the_fetch_takes_it_out_and_the_trace_stays(
    server, host, eve, admin
) -> None:
    private, line, print_ = eve
    _person, client = admin
    own = read(host, "/root/.ssh/authorized_keys")
    assert look(client, server).state == RolloutState.IN_SYNC
    by_hand(host, line)
    assert gets_in(host, private, "root")
    before = read(host, KEYS2)

    row = look(client, server)
    assert row.state == RolloutState.DRIFTED
    assert f"-root: ssh-ed25519 {print_} eve@cafe" in row.diff
    assert "root: 1 line not from Gestion" in row.why
    assert read(host, KEYS2) == before, "a look changes nothing"
    assert state_of(server) == Fetching.DRIFTED
    found = FoundLine.objects.get()
    assert (found.unix_user, found.fingerprint, found.gone_at) == ("root", print_, None)
    assert print_ in Message.objects.get().text
    assert AuditEntry.objects.filter(verb="key.found").count() == 1
    pages = [f"/keymanager/servers/{server.pk}/", f"/servers/{server.pk}/", row.get_absolute_url()]
    assert all(print_ in client.get(path).content.decode() for path in pages)

    assert host.exec([SCRIPT, "--cron"]).returncode == 0
    assert not gets_in(host, private, "root")
    assert wait_until(lambda: FoundLine.objects.get().gone_at is not None)
    assert wait_until(lambda: "1 line that was not from Gestion" in FetchReport.objects.get().problem)
    assert [job.work for job in work_off() if job.work == "servers.look"] == ["servers.look"]
    assert Rollout.objects.get().state == RolloutState.IN_SYNC
    assert print_ in client.get(pages[0]).content.decode(), "the trace is kept"
    assert host.exec([SCRIPT]).returncode == 0
    assert wait_until(lambda: state_of(server) == Fetching.CURRENT)
    assert read(host, "/root/.ssh/authorized_keys") == own


def test_a_key_that_the_hourly_fetch_sees_first_is_kept_and_told_as_well(server, host, eve, admin) -> None:
    _private, line, print_ = eve
    by_hand(host, line)
    assert host.exec([SCRIPT, "--cron"]).returncode == 0
    assert wait_until(lambda: FoundLine.objects.filter(fingerprint=print_, gone_at__isnull=False).exists())
    assert print_ in Message.objects.get().text
    assert AuditEntry.objects.filter(verb__in=["key.found", "key.gone"]).count() == 2


CHANGED = {
    "a mode": f"chmod 644 {KEYS2}",
    "an owner": f"chown dora {KEYS2}",
    "a link": f"mv {KEYS2} /root/real; ln -s /root/real {KEYS2}",
    "no file": f"rm {KEYS2}",
    "only the other one's": "rm ~dora/.ssh/authorized_keys2",
}


def test_what_else_was_changed_is_drift_and_put_back_when_told(server, host, admin) -> None:
    _person, client = admin
    good = read(host, KEYS2)
    for what, change in CHANGED.items():
        assert host.exec(["sh", "-c", change]).returncode == 0
        row = look(client, server)
        assert row.state == RolloutState.DRIFTED, what
        assert row.diff, what
        assert state_of(server) == Fetching.DRIFTED, what
        since = timezone.now()
        assert client.post(f"/servers/{server.pk}/rollouts/keys/roll-out/").status_code == 302
        work_off()
        assert Rollout.objects.get().state == RolloutState.IN_SYNC, what
        # The panel writes a fetch down up to some seconds later; if after the next look, as one that came after it.
        assert wait_until(FetchReport.objects.filter(fetched_at__gt=since).exists), what
        assert look(client, server).state == RolloutState.IN_SYNC, what
        assert read(host, KEYS2) == good, what
    assert not FoundLine.objects.exists()


def test_putting_it_back_keeps_the_trace_of_what_nobody_had_looked_at(server, host, eve, admin) -> None:
    _private, line, print_ = eve
    by_hand(host, line)
    services.roll_out(ACTOR, server, ["keys"])
    work_off()
    assert line.encode() not in read(host, KEYS2)
    assert wait_until(lambda: FoundLine.objects.filter(fingerprint=print_, gone_at__isnull=False).exists())
    assert FoundLine.objects.get().times == 1


def test_keys_that_the_panel_gives_and_takes_are_no_drift(server, host, eve, admin) -> None:
    person, client = admin
    _private, line, _print = eve
    server.owners.add(person)
    assert client.post("/keymanager/mine/", {"keys": line}).status_code == 302
    assert look(client, server).state == RolloutState.IN_SYNC, (
        "it has not fetched yet: behind, and nobody's doing"
    )
    assert host.exec([SCRIPT]).returncode == 0
    assert line.encode() in read(host, KEYS2)
    assert look(client, server).state == RolloutState.IN_SYNC
    UnixUser.objects.filter(name="dora").delete()
    assert not FoundLine.objects.exists()


def test_a_server_that_was_set_up_by_hand_is_looked_at_and_one_that_does_not_answer_says_so(
    panel, host, eve, admin
) -> None:
    _person, client = admin
    _private, line, print_ = eve
    row = services.create_server(ACTOR, Server(name=HOST, ssh_connection=host.connection))
    work_off()
    services.accept_host_key(ACTOR, row.host_keys.get())
    work_off()
    give_token(ACTOR, row)
    without_cron(row)
    script = client.post(f"/keymanager/servers/{row.pk}/fetching/script/", headers=JSON).json()["script"]
    assert host.exec(["sh"], stdin=script.encode()).returncode == 0
    assert wait_until(lambda: Rollout.objects.filter(server=row, kind="keys").exists())
    found = look(client, row)
    assert found.state == RolloutState.IN_SYNC, (found.why, found.diff, found.foreign)
    by_hand(host, line)
    answer = client.post(f"/servers/{row.pk}/rollouts/keys/look/", headers=JSON).json()
    work_off()
    assert client.get(f"/jobs/{answer['job']}/", headers=JSON).json()["state"] == "done"
    told = client.get(f"/keymanager/servers/{row.pk}/", headers=JSON).json()
    assert [one["fingerprint"] for one in told["found"]] == [print_]
    assert client.get(f"/servers/{row.pk}/rollouts/keys/", headers=JSON).json()["state"] == "drifted"
    before = KeyLook.objects.get().looked_at
    host.exec(["systemctl", "stop", "ssh.socket", "ssh"])
    transport().pool.close_all()  # type: ignore[attr-defined]
    client.post(f"/servers/{row.pk}/rollouts/keys/look/", headers=JSON)
    assert [job.state for job in work_off()] == [JobState.FAILED]
    assert KeyLook.objects.get().looked_at == before
