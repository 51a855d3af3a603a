"""A hostile git host costs bounded memory, disk and time, and nothing that it sends runs."""

import os
import secrets
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Callable

import pytest

from accounts.actors import Actor
from githooks.git import PullFailed, run_git
from githooks.services import pull_now
from hosts.bounds import MIB, TooMuch, TooSlow
from hosts.programs import run_program
from tests.githooks.conftest import Origin, git
from tests.hosts.hostile import listening, memory_growth
from tests.jobs.working import work_off
from tests.waiting import wait_for

COMMIT = b"1" * 40
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def packet(data: bytes) -> bytes:
    """A pkt-line (gitprotocol-common(5))."""
    return b"%04x" % (len(data) + 4) + data


def aside(band: bytes, data: bytes) -> bytes:
    return packet(band + data)


REFS = packet(COMMIT + b" refs/heads/main\0side-band-64k ofs-delta\n") + b"0000"


def upload_pack(connection: socket.socket, then: Callable[[socket.socket], None]) -> None:
    """Speak git's protocol of version 0 (gitprotocol-pack(5)) up to where the pack should come."""
    connection.recv(65536)
    connection.sendall(REFS)
    asked = b""
    while b"done" not in asked:
        asked += connection.recv(65536)
    connection.sendall(packet(b"NAK\n"))
    then(connection)


def endless_refs(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(REFS[:-4])
    while True:
        connection.sendall(b"".join(packet(COMMIT + b" refs/heads/%d\n" % number) for number in range(1000)))


def endless_words(connection: socket.socket) -> None:
    def then(connection: socket.socket) -> None:
        while True:
            connection.sendall(aside(b"\2", b"w" * 900 + b"\n") * 30)

    upload_pack(connection, then)


def dripping_words(connection: socket.socket) -> None:
    def then(connection: socket.socket) -> None:
        while True:
            connection.sendall(aside(b"\2", b"."))
            time.sleep(0.05)

    upload_pack(connection, then)


def endless_pack(connection: socket.socket) -> None:
    def then(connection: socket.socket) -> None:
        connection.sendall(aside(b"\1", b"PACK" + struct.pack(">II", 2, 1000) + b"\xbf\xff\xff\xff\x7f"))
        squeeze = zlib.compressobj(0)
        while True:
            connection.sendall(
                aside(b"\1", squeeze.compress(b"\0" * 30000) + squeeze.flush(zlib.Z_SYNC_FLUSH))
            )
            time.sleep(0.001)

    upload_pack(connection, then)


HOSTILE = [endless_refs, endless_words, dripping_words, endless_pack]


@pytest.mark.parametrize("serve", HOSTILE)
def test_a_hostile_remote_is_ended_and_leaves_nothing(tmp_path, serve) -> None:
    git(tmp_path, "init", "-b", "main", "clone")
    clone, began = tmp_path / "clone", time.monotonic()
    with listening(serve) as port, memory_growth() as grown:
        git(clone, "remote", "add", "origin", f"git://127.0.0.1:{port}/x")
        try:
            failed = run_git(clone, "fetch", "--progress", "origin", "refs/heads/main", seconds=4).returncode
        except PullFailed:
            failed = 1
    assert failed
    assert time.monotonic() - began < 60  # what the remote sends never ends
    assert grown() < 32
    assert not [path for path in (clone / ".git/objects").rglob("*") if path.is_file()]


def test_a_program_that_writes_without_end_is_ended() -> None:
    for script in ("yes", "yes >&2", "yes & yes >&2"):
        with memory_growth() as grown, pytest.raises(TooMuch, match="4 MiB"):
            run_program(["sh", "-c", script], env=ENV, seconds=30)
        assert grown() < 32


def test_with_a_program_all_that_it_started_ends() -> None:
    began, sleep = time.monotonic(), f"sleep {secrets.randbelow(10**6) + 10**4}"  # nobody else's
    with pytest.raises(TooSlow):
        run_program(["sh", "-c", f"{sleep} & {sleep}"], env=ENV, seconds=1)
    done = run_program(["sh", "-c", f"{sleep} >/dev/null 2>&1 & echo $!; exit 3"], env=ENV, seconds=120)
    assert (done.returncode, done.stdout.strip().isdigit()) == (3, True)
    assert time.monotonic() - began < 60
    wait_for(
        lambda: subprocess.run(["pgrep", "-xf", sleep], check=False, capture_output=True).returncode == 1
    )


def test_output_within_the_bound_comes_whole() -> None:
    done = run_program(["sh", "-c", "head -c 3000000 /dev/zero; echo end >&2"], env=ENV, seconds=30)
    assert (len(done.stdout), done.stderr) == (3_000_000, b"end\n")
    assert len(done.stdout) < 4 * MIB


@pytest.mark.django_db(transaction=True)
def test_nothing_that_the_repository_or_its_address_names_is_run(origin: Origin, repository, admin, tmp_path):
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho ran >>{ran}\ncat\n")
    script.chmod(0o755)
    for name in (
        "post-merge",
        "post-checkout",
        "reference-transaction",
        "pre-merge-commit",
        "post-index-change",
    ):
        (origin.clone / ".git/hooks" / name).symlink_to(script)
    git(origin.clone, "config", "core.fsmonitor", str(script))
    (origin.work / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (origin.work / ".gitconfig").write_text(f'[filter "evil"]\n\tsmudge = {script}\n\trequired\n')
    git(origin.work, "add", ".gitattributes", ".gitconfig")
    url = f"ext::{script}"
    git(
        origin.work,
        "-c",
        "protocol.ext.allow=always",
        "config",
        "-f",
        ".gitmodules",
        "submodule.evil.url",
        url,
    )
    git(origin.work, "config", "-f", ".gitmodules", "submodule.evil.path", "evil")
    git(origin.work, "add", ".gitmodules")
    git(origin.work, "update-index", "--add", "--cacheinfo", f"160000,{origin.pulled},evil")
    commit = origin.push("a.py", "x = 1\n")
    for name in ("fetch.recurseSubmodules", "submodule.recurse"):
        git(origin.clone, "config", name, "true")
    pull_now(Actor(admin, "ada"), repository)
    (job,) = work_off()
    assert job.error == ""
    assert git(origin.clone, "rev-parse", "HEAD") == commit
    git(origin.clone, "remote", "set-url", "origin", url)
    git(origin.clone, "config", "protocol.ext.allow", "always")
    pull_now(Actor(admin, "ada"), repository)
    assert "not allowed" in work_off()[0].error
    assert not ran.exists()
