"""install.sh on a fresh Debian host under systemd: from nothing to a panel that people use, and away again."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet, HostSpec, LabHost
from tests.deploy.packages import bring, bring_debian, bring_panel, wheels
from tests.lab.test_down import NETWORK, SECOND
from tests.panel import ROOT
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NAME = "gestion.test"
JOB = """
from accounts.actors import Actor
from jobs.services import start_job
print("job", start_job(Actor.system("test"), "jobs.check", "A check", {"seconds": 0.1}).pk)
"""
FORGET = "from jobs.models import Job; Job.objects.all().delete()"
ENDS_SLOWLY = """
place=/run/systemd/system/gestion-worker-default@.service.d
mkdir -p $place && printf '[Service]\\nExecStop=/bin/sleep 8\\n' >$place/slow.conf && systemctl daemon-reload
"""  # as a worker does that has a job to end
STATE = "from jobs.models import Job; print('state', Job.objects.get(title='A check').state)"
CHANGED = """
import sys
whole = bytearray(open(sys.argv[1], "rb").read())
whole[len(whole) // 2] ^= 1
open(sys.argv[2], "wb").write(whole)
"""
UNSIGNED = "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:-512])"
HOSTILE = """
import hashlib, io, json, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    parts = {entry.name: tar.extractfile(entry).read() for entry in tar}
parts["secrets.env"] += b"X/e touch /root/owned;=x\\n"
manifest = json.loads(parts["manifest.json"])
manifest["sha256"]["secrets.env"] = hashlib.sha256(parts["secrets.env"]).hexdigest()
parts["manifest.json"] = json.dumps(manifest).encode()
with tarfile.open(sys.argv[2], "w") as tar:
    for name, content in parts.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
"""
MOST_EXPOSED = 2.0  # of 10, by systemd-analyze's count


class Site:
    """The panel on a host, as a browser on this machine sees it: by HTTPS, the certificate verified."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.folder = folder

    def get(self, path: str, as_json: bool = False, **form: str) -> tuple[int, str]:
        """Status and HTML (or JSON) of a page, redirects followed; with a form, it is posted."""
        root = self.folder / "root.crt"
        if not root.exists():
            found = self.run("cat", "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt")
            root.write_text(found)
        argv = ["curl", "--silent", "--location", "--max-time", "30", "--cacert", str(root)]
        argv += ["--resolve", f"{NAME}:443:{self.host.address}", "--write-out", "\n%{http_code}"]
        argv += ["--cookie", str(self.folder / "jar"), "--cookie-jar", str(self.folder / "jar")]
        argv += ["--referer", f"https://{NAME}{path}"]
        argv += ["--header", "Accept: application/json"] if as_json else []
        for name, value in form.items():
            argv += ["--data-urlencode", f"{name}={value}"]
        done = subprocess.run(
            [*argv, f"https://{NAME}{path}"], capture_output=True, text=True, timeout=60, check=False
        )
        page, _, status = done.stdout.rpartition("\n")
        return int(status or 0), page

    def send(self, path: str, **form: str) -> tuple[int, str]:
        """Fill in the page's form and send it."""
        _status, page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        return self.get(path, False, csrfmiddlewaretoken=token[1], **form)

    def answers(self) -> bool:
        """Whether all of the panel works."""
        return '"ok": true' in self.get("/health/", as_json=True)[1]

    def run(self, *argv: str, good: bool = True) -> str:
        """A command on the host; its output."""
        done = self.host.exec(argv, timeout=600)
        words = (done.stdout + done.stderr).decode()
        assert (done.returncode == 0) is good, words
        return words

    def processes(self) -> list[str]:
        """Unit and process id of each service of the panel."""
        names = [
            "gestion-web@8001",
            "gestion-web@8002",
            "gestion-worker-default@1",
            "gestion-scheduler",
            "caddy",
        ]
        return [f"{name} {self.run('systemctl', 'show', '-P', 'MainPID', name).strip()}" for name in names]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host with Debian's packages within reach and the panel's files unpacked, and nothing else."""
    with Fleet.up(SECOND, NETWORK, hosts=[HostSpec("gestion1", "backup")]) as fleet:
        host = fleet["gestion1"]
        bring_debian(host)
        bring(host, wheels(), "/srv/wheels")
        bring_panel(host)
        yield Site(host, tmp_path_factory.mktemp("site"))


def test_from_a_fresh_host_to_a_panel_in_use_and_away_again(site: Site) -> None:
    install = "/srv/gestion/deploy/install.sh"
    assert "--url https://" in site.run(install, good=False)
    assert "will not do" in site.run(install, "--url", "http://gestion.test/", good=False)
    words = site.run(install, "--url", f"https://{NAME}/", "--tls", "internal", "--wheels", "/srv/wheels")
    code = re.search(r"set-up code: ([A-Z0-9-]+)", words)
    assert code, words

    person = {
        "username": "ada",
        "password": "correct horse battery",
        "password_again": "correct horse battery",
    }
    status, page = site.send("/setup/", code=code[1], full_name="Ada", email="ada@example.org", **person)
    assert status == 200
    assert "Sign out" in page, page

    site.run("/usr/local/sbin/gestion", "shell", "--no-imports", "-c", JOB)
    wait_for(lambda: "state done" in site.run("gestion", "shell", "--no-imports", "-c", STATE))

    check_the_hardening(site)
    check_the_first_look(site)
    archive = check_the_backup(site)
    check_what_is_not_restored(site, install, archive)
    site.run("gestion", "shell", "--no-imports", "-c", FORGET)
    site.run("sh", "-c", ENDS_SLOWLY)
    assert "restored" in site.run(install, "--restore", archive)
    assert "state done" in site.run("gestion", "shell", "--no-imports", "-c", STATE)
    wait_for(site.answers, 120)
    sign_in = {"username": "ada", "password": "correct horse battery"}
    assert "Sign out" in site.send("/sign-in/", **sign_in)[1]

    before = site.processes()
    assert "nothing to do" in site.run(install)
    assert site.processes() == before

    site.host.reboot()
    wait_for(site.answers, 120)
    assert "Sign out" in site.get("/")[1]

    assert "Kept" in site.run(install, "--uninstall")
    assert "gestion" not in site.run("systemctl", "list-units", "--all", "--plain", "gestion*", "--no-legend")
    site.run("test", "-s", "/etc/gestion/gestion.env")
    assert "gestion" in site.run("runuser", "-u", "postgres", "--", "psql", "-lqtA")
    assert site.get("/")[0] in {0, 404}


def check_the_hardening(site: Site) -> None:
    """That systemd counts the units as little exposed, and nobody else reads the secrets."""
    told = site.run("systemd-analyze", "security", "--no-pager")
    exposed = dict(re.findall(r"^(gestion-\S+|caddy\.service)\s+([\d.]+)", told, re.MULTILINE))
    assert len(exposed) >= 6, told
    assert {name: level for name, level in exposed.items() if float(level) > MOST_EXPOSED} == {}
    assert site.run("stat", "-c", "%a %U:%G", "/etc/gestion/gestion.env").strip() == "640 root:gestion"
    assert site.run("stat", "-c", "%a %U", "/var/backups/gestion").strip() == "710 root"
    listening = site.run("ss", "-Hltn")
    outside = {
        line.split()[3]
        for line in listening.splitlines()
        if not line.split()[3].startswith(("127.", "[::1]"))
    }
    assert {address.rpartition(":")[2] for address in outside} <= {"22", "80", "443"}, listening


def check_the_backup(site: Site) -> str:
    """That the daily backup works with no more rights than its unit has; the file it wrote, which is root's."""
    assert "gestion-backup.timer" in site.run("systemctl", "list-timers", "--no-pager")
    site.run("systemctl", "start", "gestion-backup.service")
    *kept, new = site.run("ls", "/var/backups/gestion").split()  # the timer may have come, too
    assert new == "new"
    archive = f"/var/backups/gestion/{kept[-1]}"
    assert site.run("stat", "-c", "%a %U:%G", archive).strip() == "600 root:root"
    assert site.run("stat", "-c", "%a %U:%G", "/etc/gestion/backup.key").strip() == "600 root:root"
    for theirs in (
        f"echo x >>{archive}",
        f"rm {archive}",
        "echo x >/var/backups/gestion/x",
        "cat /etc/gestion/backup.key",
    ):
        site.run(
            "setpriv", "--reuid=gestion", "--regid=gestion", "--clear-groups", "sh", "-c", theirs, good=False
        )
    return archive


def check_the_first_look(site: Site) -> None:
    """That the commands that operations.md begins with show every service, and what the panel has warned of."""
    text = (ROOT / "docs/operations.md").read_text()
    commands = text.split("First look, always:\n\n```\n")[1].split("```")[0]
    site.get("/nothing-is-here/")
    told = site.run("bash", "-c", f"PAGER=cat SYSTEMD_PAGER=cat; export PAGER SYSTEMD_PAGER; {commands}")
    for name in (
        "gestion-web@8001",
        "gestion-scheduler",
        "caddy",
        "redis-server@gestion",
        "postgresql@15-main",
    ):
        assert f"{name}.service" in told
    assert "Not Found: /nothing-is-here/" in told


def check_what_is_not_restored(site: Site, install: str, archive: str) -> None:
    """That what the panel's user could write becomes no command of root's, and that the panel runs on."""
    before = site.processes()
    for script, options, words in (
        (CHANGED, (), "changed after it was signed"),
        (UNSIGNED, (), "is not signed"),
        (HOSTILE, ("--unsigned",), "is no secret of a panel"),
    ):
        site.run("/opt/gestion/current/.venv/bin/python", "-c", script, archive, "/tmp/hostile.tar")
        assert words in site.run(install, "--restore", "/tmp/hostile.tar", *options, good=False)
    site.run("test", "-e", "/root/owned", good=False)
    assert site.processes() == before
