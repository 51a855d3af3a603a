"""A new unix user on a real host: it logs in, its password is nowhere, and undo leaves nothing of it."""

import shlex
import subprocess

import paramiko
import pytest

from jobs.models import JobLine
from keymanager.models import Group
from servers.models import UnixUser
from tests.forwarding.lab_rows import enlist
from tests.jobs.working import work_off
from tests.keymanager.fleets import make_key
from wizards.models import WizardRun

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
PASSWORD = "horse: battery 'staple' é"
PATIENCE = {"timeout": 60.0, "banner_timeout": 60.0, "auth_timeout": 60.0}
WATCH = "while [ -e /tmp/watching ]; do cat /proc/[0-9]*/cmdline; done >/tmp/seen 2>/dev/null"


@pytest.fixture
def files1(fleet, lab_key):
    return fleet["files1"], enlist(fleet, lab_key)["files1"]


def answers(server, **more):
    return {"server": server.pk, "name": "nina", "full_name": "Nina Ö.", "shell": "/bin/bash", **more}


def ask(client, server, access) -> WizardRun:
    first = client.post("/wizards/new/create_user/", answers(server))
    assert first.status_code == 302, first.content
    run = WizardRun.objects.latest("pk")
    second = client.post(f"/wizards/runs/{run.pk}/steps/2/", access)
    assert second.status_code == 302, second.content
    assert client.post(f"/wizards/runs/{run.pk}/review/").status_code == 302
    return run


def logged_in(host, name: str, password: str) -> str:
    """What `id -un` says to somebody who logs in by password."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507  # the lab is ours
    address, port = host.ssh_endpoint
    client.connect(address, port, name, password, look_for_keys=False, allow_agent=False, **PATIENCE)  # type: ignore[arg-type]
    try:
        return str(client.exec_command("id -un; ls -A")[1].read().decode())
    finally:
        client.close()


def test_a_user_logs_in_by_its_password_which_is_nowhere_else(files1, admin_client):
    host, server = files1
    group = Group.objects.create(name="users")
    host.exec(["touch", "/tmp/watching"])
    watcher = subprocess.Popen(host.shell(["sh", "-c", WATCH]), stdin=subprocess.DEVNULL)
    access = {
        "with_password": "on",
        "password": PASSWORD,
        "password_again": PASSWORD,
        "with_config": "on",
        "with_keys": "on",
        "groups": [group.pk],
    }
    run = ask(admin_client, server, access)
    work_off()
    host.exec(["rm", "-f", "/tmp/watching"])
    watcher.wait(60)
    run.refresh_from_db()
    assert (run.state, run.why) == ("done", "")
    said = logged_in(host, "nina", PASSWORD)
    assert said.startswith("nina\n")
    assert ".vimrc" in said
    assert list(group.allowed_unix_users.values_list("name", flat=True)) == ["nina"]
    seen = host.exec(["cat", "/tmp/seen"]).stdout
    assert b"chpasswd" in seen
    lines = "\n".join(JobLine.objects.values_list("text", flat=True))
    for place in (seen, lines.encode(), admin_client.get(run.get_absolute_url()).content):
        assert PASSWORD.encode() not in place
        assert b"staple" not in place
    undo(admin_client, run)
    assert host.exec(["getent", "passwd", "nina"]).returncode != 0
    assert host.exec(["test", "-e", "/home/nina"]).returncode != 0
    assert not UnixUser.objects.filter(name="nina").exists()


def undo(client, run) -> None:
    assert client.post(f"/wizards/runs/{run.pk}/undo/", {"confirm_lockout": "on"}).status_code == 302
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why) == ("undone", "")


def test_a_user_that_is_there_already_is_neither_touched_nor_removed(files1, admin_client):
    host, server = files1
    host.exec(["sh", "-c", shlex.join(["useradd", "-m", "nina"])])
    run = ask(admin_client, server, {})
    work_off()
    run.refresh_from_db()
    assert run.why == "There is a unix user nina on the server already."
    undo(admin_client, run)
    assert host.exec(["getent", "passwd", "nina"]).returncode == 0
    host.exec(["userdel", "-r", "nina"])


def test_an_undo_waits_for_what_others_have_made_of_the_user(files1, admin_client):
    host, server = files1
    run = ask(admin_client, server, {"with_keys": "on"})
    work_off()
    row = UnixUser.objects.get(name="nina")
    key = make_key(row, "nina")
    group = Group.objects.create(name="late")
    group.allowed_unix_users.add(row)
    page = f"/wizards/runs/{run.pk}/undo/"
    first = admin_client.get(page, headers={"Accept": "application/json"}).json()["first"]
    assert first == [f"The SSH key {key}", "the group late is allowed on it"]
    admin_client.post(page, {"confirm_lockout": "on"})
    work_off()
    assert host.exec(["getent", "passwd", "nina"]).returncode == 0
    key.delete()
    group.delete()
    undo(admin_client, run)
    assert host.exec(["getent", "passwd", "nina"]).returncode != 0


IN_THE_WAY = {
    "what is mounted in it": (
        "mkdir '/home/nina/a b'; mount -t tmpfs none '/home/nina/a b'; touch '/home/nina/a b/kept'",
        "What is mounted at /home/nina/a b would be deleted",
        "test -e '/home/nina/a b/kept' && umount '/home/nina/a b'",
    ),
    "another folder": (
        "mkdir /srv/www; touch /srv/www/kept; usermod -d /srv/www nina",
        "was made with the home folder /home/nina and has /srv/www by now",
        "test -e /srv/www/kept && usermod -d /home/nina nina",
    ),
    "another unix user in it": (
        "useradd -M -d /home/nina/bob bob",
        "bob live in /home/nina, too",
        "getent passwd bob && userdel bob",
    ),
    "another with its number": (
        "useradd -M -o -u $(id -u nina) -d /nowhere nina2",
        "nina2 live in /home/nina, too, or have the number of nina",
        "userdel -f nina2",
    ),
}


def test_an_undo_finds_out_on_the_host_what_else_would_go_with_the_home_folder(files1, admin_client):
    """`userdel --remove --force` asks nothing of it; what was mounted went, too."""
    host, server = files1
    run = ask(admin_client, server, {"with_keys": "on"})
    work_off()
    page = f"/wizards/runs/{run.pk}/undo/"
    for what, (begins, words, ends) in IN_THE_WAY.items():
        assert host.exec(["sh", "-ec", begins]).returncode == 0, what
        sent = page if what == next(iter(IN_THE_WAY)) else f"/wizards/runs/{run.pk}/resume/"
        assert admin_client.post(sent, {"confirm_lockout": "on"}).status_code == 302, what
        work_off()
        run.refresh_from_db()
        assert (run.state, words in run.why) == ("failed", True), (what, run.why)
        assert UnixUser.objects.filter(name="nina").exists(), "nothing was taken back"
        assert host.exec(["sh", "-ec", ends]).returncode == 0, what
    host.exec(["sh", "-ec", "chown root /home/nina"])
    admin_client.post(f"/wizards/runs/{run.pk}/resume/", {"confirm_lockout": "on"})
    work_off()
    run.refresh_from_db()
    assert "/home/nina not owned by nina" in run.why
    assert host.exec(["test", "-d", "/home/nina"]).returncode == 0
    admin_client.post(f"/wizards/runs/{run.pk}/resume/", {"confirm_lockout": "on"})
    work_off()
    run.refresh_from_db()
    assert (run.state, run.why) == ("undone", "")


def test_what_runs_as_the_user_ends_with_it(files1, admin_client):
    host, server = files1
    run = ask(admin_client, server, {})
    work_off()
    runs = "su nina -c 'cd; (while :; do sleep 1000 & sleep 0.2; done) >/dev/null 2>&1 </dev/null &'"
    assert host.exec(["sh", "-ec", runs]).returncode == 0
    undo(admin_client, run)
    assert host.exec(["sh", "-c", "getent passwd nina; test -e /home/nina"]).returncode != 0
