"""A unix user that a wizard makes and takes back, by real useradd and userdel: what was there before stays.

In namespaces of its own, with accounts, home folders and processes that are nobody's on this machine.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from accounts.actors import Actor
from hosts.errors import CommandFailed
from hosts.host import Result
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from servers.models import Server
from tests.attackers import needs_root
from wizards.declare import Refused, TaskRun
from wizards.wizards.create_user import make_on, remove_from, removes, wizard

ACCOUNTS = ("passwd", "shadow", "group", "gshadow", "login.defs", "default", "skel", "nsswitch.conf", "pam.d")
ENTER = 'mount --bind "$1" /etc && mount -t tmpfs none /home && echo ready && exec sleep 600'


class Namespace:
    """A Host whose commands run here, in those namespaces."""

    name = "web1"

    def __init__(self, process: int) -> None:
        self.process = process

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", **_more: Any) -> Result:
        enter = ["nsenter", "-t", str(self.process), "-m", "-p", "--", *argv]
        done = subprocess.run(enter, input=stdin, capture_output=True, timeout=60, check=False)
        return Result(done.returncode, done.stdout, done.stderr, tuple(argv), self.name)

    def read(self, path: str) -> bytes | None:
        return self.run(["cat", path]).out

    def close(self) -> None:
        """There is no connection."""

    def sh(self, script: str) -> str:
        return self.run(["sh", "-ec", script]).check().text


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    needs_root()
    for name in ACCOUNTS:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, tmp_path / name)
    # Of processes, too: userdel's neighbour is pkill.
    argv = [
        "unshare",
        "-m",
        "-p",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        ENTER,
        "sh",
        str(tmp_path),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Namespace(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()))
        process.kill()


@pytest.fixture
def run(db) -> TaskRun:
    job = Job.objects.create(work="tests.nothing", title="x", args={}, actor_name="test")
    server = Server.objects.create(name="web1", keymanager_name="web1")
    return TaskRun(
        actor=Actor.system("test"),
        steps=[{"server": server.pk, "name": "nina", "shell": "/bin/bash", "full_name": ""}],
        facts={},
        results={},
        run=Run(job, Masker()),
        keep=lambda _facts: None,
    )


def test_what_it_made_goes_with_it(host, run) -> None:
    make_on(host, run, listed=False)
    assert host.sh("ls /home; touch /home/nina/new") == "nina"
    assert str(removes(run.data, {"account": run.facts})).endswith(", with its home folder")
    remove_from(host, run)
    assert host.sh("ls /home; ! getent passwd nina") == ""


def test_a_folder_that_lay_in_its_homes_place_stays(host, run) -> None:
    """useradd(8) takes it for the home folder with a warning; userdel --remove deleted it with all in it."""
    host.sh("mkdir /home/nina; touch /home/nina/of-an-earlier-nina")
    make_on(host, run, listed=False)
    host.sh("chown -R nina: /home/nina")  # as people do who want it back
    host.sh("mkdir /home/nina/more; mount -t tmpfs none /home/nina/more; touch /home/nina/more/kept")
    results = {"account": run.facts}
    assert "/home/nina, which was there before, stays" in removes(run.data, results)
    said = {task.slug: task.undo_says for task in wizard.tasks if task.undo_says}
    assert [str(said[slug](run.data, results)) for slug in ("config", "keys")] == [
        "Its settings stay in /home/nina",
        "Its keys stay in /home/nina",
    ]
    remove_from(host, run)
    assert host.sh("! getent passwd nina; ls /home/nina /home/nina/more").split() == [
        *("/home/nina:", "more", "of-an-earlier-nina"),
        *("/home/nina/more:", "kept"),
    ]


def test_a_user_that_somebody_makes_after_it_could_not_be_made_is_not_taken_back(host, run) -> None:
    host.sh("groupadd nina")
    with pytest.raises(CommandFailed, match="group nina exists"):
        make_on(host, run, listed=False)
    host.sh("useradd -m -g nina nina; touch /home/nina/mine")
    assert not run.facts["ours"]
    with pytest.raises(Refused, match="There is a unix user nina on the server already"):
        make_on(host, run, listed=False)


def test_one_that_was_renamed_by_hand_is_named_instead_of_being_left_with_its_keys(host, run) -> None:
    make_on(host, run, listed=False)
    host.sh("usermod --login maria nina")
    with pytest.raises(
        Refused, match="There is no unix user nina any more, and maria live in its home folder /home/nina"
    ):
        remove_from(host, run)
    host.sh("usermod --login nina maria")
    remove_from(host, run)
    assert host.sh("ls /home; ! getent passwd nina maria") == ""
    remove_from(host, run)  # that it is gone is no trouble


def test_one_that_was_renamed_with_its_home_is_named_too_and_one_that_only_has_its_number_is_not(
    host, run
) -> None:
    make_on(host, run, listed=False)
    host.sh("usermod --login maria --home /home/maria --move-home nina; groupmod --new-name maria nina")
    with pytest.raises(
        Refused, match="There is no unix user nina any more, and maria live in its home folder /home/maria"
    ):
        remove_from(host, run)
    number = host.sh("id -u maria").strip()
    host.sh(f"userdel --remove maria; sleep 1; useradd --create-home --uid {number} bert")
    remove_from(host, run)
    assert host.sh("ls /home") == "bert"


def test_another_with_its_number_stands_in_the_way_also_where_the_folder_stays(host, run) -> None:
    host.sh("mkdir /home/nina")
    make_on(host, run, listed=False)
    host.sh("useradd -M -o -u $(id -u nina) -d /nowhere nina2")
    with pytest.raises(Refused, match="nina2 live in /home/nina, too, or have the number of nina"):
        remove_from(host, run)


def test_what_is_mounted_in_a_home_folder_behind_a_link_stands_in_the_way_too(host, run) -> None:
    """/home that is a link to another disk: mounts are told where that is. Alpine's realpath takes no option."""
    host.sh("mount --bind /bin/false /usr/bin/realpath")
    host.sh("mkdir /home/disk; ln -s disk /home/link; useradd -D -b /home/link")
    make_on(host, run, listed=False)
    host.sh(
        "mkdir /home/disk/nina/more; mount -t tmpfs none /home/disk/nina/more; touch /home/disk/nina/more/kept"
    )
    with pytest.raises(Refused, match="What is mounted at /home/disk/nina/more would be deleted"):
        remove_from(host, run)
    host.sh("umount /home/disk/nina/more")
    remove_from(host, run)
    assert host.sh("ls /home/disk") == ""


def test_what_runs_in_containers_by_the_same_number_goes_on(host, run) -> None:
    """The first user of a host with Docker has the number of most images' users; a Proxmox host sees its guests'."""
    make_on(host, run, listed=False)
    host.sh(
        "mkdir -p /home/ct/usr; mount --bind /usr /home/ct/usr; cd /home/ct; ln -s usr/bin usr/lib usr/lib64 ."
    )
    number = host.sh("id -u nina").strip()
    host.sh(f"chroot --userspec={number} /home/ct /bin/sleep 4711 >/dev/null 2>&1 & sleep 0.2")
    host.sh("setpriv --reuid=nina --clear-groups sleep 4712 >/dev/null 2>&1 & sleep 0.2")
    remove_from(host, run)
    assert host.sh(f"pgrep -a -U {number} -f 'sleep 471'").split()[1:] == ["/bin/sleep", "4711"]
