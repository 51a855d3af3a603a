"""Scripts on real hosts, by the panel's own work and by plain fab."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from fabrun.models import ScriptRun
from fabrun.services import run_again, run_script, stop_run
from jobs.models import Job, JobLine
from keymanager.desired import CONF, CRON, SCRIPT, SIGNERS
from lab import LabHost
from servers.models import HostKey, Server
from tests.forwarding.lab_rows import enlist
from tests.jobs.working import work_off
from tests.panel import Panel
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]

SCRIPTS = """
from fabric import task


@task
def streams(c, word):
    import shlex
    c.run("echo out " + shlex.quote(word) + "; echo err >&2")


@task
def fails(c):
    c.run("echo before; exit 7")


@task
def breaks(c):
    raise RuntimeError("of my own")


@task
def asks(c, pty=False):
    c.run("echo first; printf 'Are you sure? '; read answer && echo went on", pty=pty)


@task
def asks_for_a_password(c, how, here=False):
    (c.local if here else c.run)(how, pty=True)


@task
def pages(c, own=False):
    c.run("systemctl list-units --all; seq 200 | ${PAGER:-more}", pty=True, env={"PAGER": "tac"} if own else {})


@task
def asks_here(c, pty=False):
    c.local("echo first; printf 'Are you sure? '; read answer && echo went on", pty=pty)


@task
def leaves_one_behind(c, here=False):
    (c.local if here else c.run)("sleep 1000 & echo started; exit 3", warn=True)
    print("went on")


@task
def has_an_input(c, here=False):
    import io
    (c.local if here else c.run)("cat", in_stream=io.StringIO("of its own\\n"))


@task
def pours(c, here=False):
    (c.local if here else c.run)("seq -f %099g 200000; echo why it fails >&2; exit 3")


@task
def answered(c):
    from invoke import Responder
    c.run("printf 'Word: '; read word; echo got $word", watchers=[Responder("Word: ", "yes\\n")])


@task
def sleeps(c):
    c.run("echo $$; exec sleep 300")
"""


@pytest.fixture
def rows(fleet, lab_key) -> dict[str, Server]:
    return enlist(fleet, lab_key)


@pytest.fixture
def scripts(folder) -> Path:
    (folder / "try_it.py").write_text(SCRIPTS)
    return folder


def lines(job: Job, stream: str) -> list[str]:
    return [line.text for line in job.lines.filter(stream=stream)]


def test_output_and_errors_are_apart_and_kept_on_several_servers(rows, scripts, actor):
    chosen = [rows["files1"], rows["web1"]]
    run_script(actor, "try_it.streams", chosen, arguments={"word": "$(id) ' \" é"}, seconds=200)
    done = work_off()
    assert [job.state for job in done] == ["done", "done"]
    for job in done:
        assert lines(job, "out") == ["out $(id) ' \" é"]
        assert lines(job, "err") == ["err"]


def test_a_command_that_fails_fails_the_run_with_its_code_and_output(rows, scripts, actor):
    run = run_script(actor, "try_it.fails", [rows["files1"]], arguments={}, seconds=200)
    (job,) = work_off()
    assert (job.state, lines(job, "out")) == ("failed", ["before"])
    assert "ended with 7" in job.error
    assert run.parts.get().state == "failed"
    run_again(actor, run)
    assert [job.state for job in work_off()] == ["failed"]


def test_a_script_that_raises_fails_alone_and_shows_where(rows, scripts, actor):
    run_script(actor, "try_it.breaks", [rows["files1"]], arguments={}, seconds=200)
    (job,) = work_off()
    assert job.state == "failed"
    assert any("of my own" in line for line in lines(job, "err"))


@pytest.mark.parametrize("pty", [False, True])
def test_a_question_ends_the_script_and_is_seen(rows, scripts, actor, pty):
    run_script(actor, "try_it.asks", [rows["web1"]], arguments={"pty": pty}, seconds=60)
    (job,) = work_off()
    assert job.state == "failed"
    assert "longer than" not in job.error
    assert lines(job, "out") == ["first", "Are you sure? "]


def test_what_watchers_answer_is_answered(rows, scripts, actor):
    run_script(actor, "try_it.answered", [rows["web1"]], arguments={}, seconds=60)
    (job,) = work_off()
    assert (job.state, job.error) == ("done", "")
    assert "got yes" in "\n".join(lines(job, "out"))


@pytest.mark.parametrize("here", [False, True])
def test_a_terminal_that_forgets_what_was_typed_before_it_asks_is_told_again(rows, scripts, actor, here):
    how = "python3 -c 'import getpass; getpass.getpass()'"
    arguments = {"how": how, "here": here}
    run_script(actor, "try_it.asks_for_a_password", [rows["web1"]], arguments=arguments, seconds=60)
    (job,) = work_off()
    assert job.state == "failed"
    assert "longer than" not in job.error
    assert "Password: " in "\n".join(lines(job, "out"))
    assert "EOFError" in "\n".join(lines(job, "out"))


@pytest.mark.parametrize("own", [False, True])
def test_what_waits_for_a_key_after_each_page_does_not_wait(rows, scripts, actor, own):
    run_script(actor, "try_it.pages", [rows["web1"]], arguments={"own": own}, seconds=60)
    (job,) = work_off()
    assert (job.state, job.error) == ("done", "")
    found = [line.strip() for line in lines(job, "out")]
    assert found[-1] == ("1" if own else "200")
    assert any("sshd" in line or "ssh.service" in line for line in found)


@pytest.mark.parametrize("pty", [False, True])
def test_a_question_on_the_panels_own_machine_ends_too(rows, scripts, actor, pty):
    run_script(actor, "try_it.asks_here", [rows["web1"]], arguments={"pty": pty}, seconds=60)
    (job,) = work_off()
    assert job.state == "failed"
    assert "longer than" not in job.error
    assert lines(job, "out") == ["first", "Are you sure? "]


@pytest.mark.parametrize("here", [False, True])
def test_what_goes_on_in_the_background_is_not_waited_for(rows, scripts, actor, here):
    run_script(actor, "try_it.leaves_one_behind", [rows["web1"]], arguments={"here": here}, seconds=60)
    (job,) = work_off()
    assert (job.state, job.error) == ("done", "")
    assert lines(job, "out") == ["started", "went on"]
    assert "holds its output open" in "\n".join(lines(job, "err"))


@pytest.mark.parametrize("here", [False, True])
def test_an_input_of_its_own_is_read(rows, scripts, actor, here):
    run_script(actor, "try_it.has_an_input", [rows["web1"]], arguments={"here": here}, seconds=60)
    (job,) = work_off()
    assert (job.state, job.error, lines(job, "out")) == ("done", "", ["of its own"])


def test_a_question_that_no_watcher_knows_ends_the_script(rows, scripts, actor):
    path = scripts / "try_it.py"
    head = "import fabrun.talking\nfabrun.talking.WATCHED_SECONDS = 2\n"
    path.write_text(head + path.read_text().replace('Responder("Word: "', 'Responder("Other: "'))
    run_script(actor, "try_it.answered", [rows["web1"]], arguments={}, seconds=60)
    (job,) = work_off()
    assert job.state == "done"  # its last command is the echo
    assert lines(job, "out") == ["Word: got"]


@pytest.mark.parametrize("here", [False, True])
def test_twenty_megabytes_end_in_time_are_cut_and_that_is_said(rows, scripts, actor, here):
    run_script(actor, "try_it.pours", [rows["web1"]], arguments={"here": here}, seconds=60)
    (job,) = work_off()
    assert (job.state, lines(job, "err")[0]) == ("failed", "why it fails")
    assert lines(job, "out")[-1].endswith("200000")
    assert any("more lines were not kept" in line for line in lines(job, "info"))


def test_what_takes_too_long_is_ended(rows, scripts, actor):
    run_script(actor, "try_it.sleeps", [rows["files1"]], arguments={}, seconds=3)
    (job,) = work_off()
    assert job.state == "failed"
    assert "3 seconds" in job.error


def test_stop_ends_the_script(rows, scripts, actor):
    run = run_script(actor, "try_it.sleeps", [rows["files1"]], arguments={}, seconds=200)
    stopper = threading.Thread(target=stop_once_it_says_something, args=(actor, run.pk))
    stopper.start()
    (job,) = work_off()
    stopper.join()
    assert job.state == "stopped"
    assert lines(job, "out"), "it was stopped before it began"


def stop_once_it_says_something(actor, pk: int) -> None:
    try:
        wait_for(lambda: JobLine.objects.filter(stream="out").exists(), name="the script's first line")
        stop_run(actor, ScriptRun.objects.get(pk=pk))
    finally:
        connection.close()


def test_a_server_whose_host_key_is_not_pinned_is_not_logged_in_to(rows, scripts, actor):
    HostKey.objects.filter(server=rows["files1"]).delete()
    run_script(actor, "try_it.streams", [rows["files1"]], arguments={"word": "x"}, seconds=200)
    (job,) = work_off()
    assert job.state == "failed"
    assert not lines(job, "out")
    assert "files1" in job.error


def test_setup_leads_a_guest_of_the_panels_host_to_it_and_changes_only_its_own_line(
    rows, fleet, actor, settings
):
    settings.GESTION_IP, settings.GESTION_NAME, settings.GESTION_VM_NAME = (
        "10.0.0.9",
        "gestion.example.org",
        "pve1",
    )
    arguments = {"tools": "curl rsync", "configuration": True, "keys": False}
    before = fleet["web1"].exec(["cat", "/etc/hosts"]).stdout.decode()
    for _again in range(2):
        settings.GESTION_IP = "10.0.0.10" if _again else "10.0.0.9"
        run_script(actor, "server.setup", [rows["web1"], rows["files1"]], arguments=arguments, seconds=200)
        assert [(job.state, job.error) for job in work_off()] == [("done", "")] * 2
    assert fleet["web1"].exec(["cat", "/etc/hosts"]).stdout.decode() == (
        before + "10.0.0.10\tgestion.example.org\t# gestion\n"
    )
    assert b"gestion.example.org" not in fleet["files1"].exec(["cat", "/etc/hosts"]).stdout
    assert fleet["web1"].exec(["test", "-s", "/root/.vimrc"]).returncode == 0


def test_a_users_settings_are_his_own_and_a_link_of_his_is_not_followed(rows, fleet, actor):
    host = fleet["files1"]
    host.exec(
        ["sh", "-c", "id tess || useradd -m tess; rm -f /home/tess/.*rc; ln -s /etc/stolen /home/tess/.vimrc"]
    )
    run_script(
        actor,
        "server.copy_user_config",
        [rows["files1"]],
        arguments={"overwrite": True},
        unix_user="tess",
        seconds=200,
    )
    (job,) = work_off()
    assert job.state == "done", lines(job, "err")
    assert host.exec(["stat", "-c", "%U %F", "/home/tess/.vimrc"]).stdout == b"tess regular file\n"
    assert host.exec(["test", "-e", "/etc/stolen"]).returncode


def test_a_user_that_is_not_there_fails_the_script_with_a_sentence(rows, actor):
    run_script(
        actor, "server.copy_user_config", [rows["files1"]], arguments={}, unix_user="nobody-here", seconds=200
    )
    (job,) = work_off()
    assert job.state == "failed"
    assert "no unix user nobody-here" in job.error


def test_they_run_with_plain_fab_too(fleet, lab_key):
    host = fleet["files1"]
    fab = Path(sys.executable).with_name("fab")
    argv = [
        str(fab),
        "-H",
        f"root@{host.address}",
        "-i",
        str(lab_key.path),
        "server.setup",
        "--tools",
        "curl",
        "--no-keys",
    ]
    done = subprocess.run(
        argv,
        cwd=Path(django_settings.BASE_DIR) / "fabfiles",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "All tools are there: curl" in done.stdout


SEED = """
from accounts.models import ApiToken, User
from django.utils import timezone
from servers.identity import panel_identity
from keymanager.desired import CONF, CRON, SCRIPT, SIGNERS
from lab import LabHost
from servers.models import HostKey, Server, UnixUser
user = User.objects.create_superuser("ada", "correct horse battery")
text = ApiToken.fresh()
ApiToken.objects.create(user=user, name="test", scopes=["fabrun"], digest=ApiToken.digest_of(text))
server = Server.objects.create(name="files1", keymanager_name="files1", ssh_connection="{connection}")
HostKey.objects.create(server=server, key="{key}", fingerprint="x", pinned_at=timezone.now())
UnixUser.objects.create(server=server, name="root")
print(text, panel_identity().public_key, sep="\\n")
"""


LOG = "from jobs.models import JobLine; print(*JobLine.objects.values_list('text', flat=True), sep=chr(10))"
SECRET = "from keymanager.models import FetchToken; print(FetchToken.objects.get().secret)"


@pytest.fixture
def files1(fleet) -> Iterator[LabHost]:
    """A host that does not fetch its keys yet, before and after: other tests have it begin."""
    host = fleet["files1"]
    forget = [
        "rm",
        "-rf",
        CONF,
        SCRIPT,
        CRON,
        SIGNERS,
        "/var/lib/gestion/keys",
        "/root/.ssh/authorized_keys2",
    ]
    host.exec(forget)
    yield host
    host.exec(forget)


def test_setup_has_a_server_fetch_its_keys_from_the_real_panel(fleet, files1, lab_key, data_folder):
    host = files1
    with Panel(data_folder, also_at=[fleet.panel_address], DEMO="true") as panel:
        told = panel.manage("shell", "-c", SEED.format(connection=host.connection, key=host.host_key))
        token, public_key = told.strip().splitlines()[-2:]
        host.trust([lab_key.public, public_key])
        data = {"servers": ["1"], "arg_tools": "curl", "arg_keys": True, "seconds": 120}
        call(panel, token, "/fabrun/scripts/server.setup/", data)
        open_states = ("waiting", "running")
        wait_for(
            lambda: call(panel, token, "/fabrun/runs/1/")["parts"][0]["state"] not in open_states,
            150,
            panel.log,
        )
        log = panel.manage("shell", "-c", LOG)
        assert call(panel, token, "/fabrun/runs/1/")["parts"][0]["state"] == "done", log
        secret = panel.manage("shell", "-c", SECRET).strip().splitlines()[-1]
    assert secret.startswith("gsk_")
    assert secret not in log
    assert host.exec(["test", "-x", SCRIPT]).returncode == 0
    assert b"AUTOMATIC UPDATES" in host.exec(["cat", "/root/.ssh/authorized_keys2"]).stdout


def call(panel: Panel, token: str, path: str, data: dict[str, object] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    body = json.dumps(data).encode() if data else None
    if body:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(panel.url + path, body, headers)  # noqa: S310  # our own panel
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found
