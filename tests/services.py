"""Debian's PostgreSQL and Redis for tests: own instances in a temporary folder, on free ports of loopback.

    with postgres() as database_url, redis() as broker_url: ...

They run as an unprivileged user, keep nothing, and are ended by their process id.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.leftovers import ending_with_us
from tests.panel import free_port

START_SECONDS = 120  # a busy machine takes its time


class MissingServiceError(RuntimeError):
    """The Debian package is not installed; the text says which."""


class Service:
    """A server that can be ended and started again, with what it keeps, at the same port."""

    def __init__(self, user: str, argv: list[str], ready: list[str], end: signal.Signals, log: Path) -> None:
        self.user = user
        self.argv = argv
        self.ready = ready
        self.end = end
        self.log = log
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it answers. Raises RuntimeError with its log."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                ending_with_us(self.argv, self.end),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **_identity(self.user),  # type: ignore[call-overload]
            )
        self.do(self.ready)

    def do(self, argv: list[str]) -> None:
        """Run a client's command until it succeeds. Raises RuntimeError."""
        assert self._process
        _retry(argv, self._process, self.log)

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it, in order unless `how` says otherwise; returns when it has ended."""
        if self._process is None:
            return
        self._process.send_signal(how or self.end)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def postgres_service() -> Iterator[Service]:
    """A PostgreSQL cluster with an empty database. Raises MissingServiceError."""
    binaries = _postgres_binaries()
    with _folder("postgres") as folder:
        data = folder / "data"
        _as_user("postgres", [str(binaries / "initdb"), "-D", str(data), "-U", "gestion", "-A", "trust", "-N",
                              "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8"])  # fmt: skip
        port = free_port()
        argv = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder),
                "-h", "127.0.0.1",
                "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
                "-c", "max_connections=150", "-c", "shared_buffers=32MB"]  # fmt: skip
        client = ["-h", "127.0.0.1", "-p", str(port), "-U", "gestion"]
        # SIGINT is the fast shutdown: it does not wait for clients that forgot to leave.
        ready = [str(binaries / "pg_isready"), *client]
        service = Service("postgres", argv, ready, signal.SIGINT, folder / "log")
        service.url = f"postgres://gestion@127.0.0.1:{port}/gestion"
        try:
            service.start()
            service.do([str(binaries / "createdb"), *client, "gestion"])
            yield service
        finally:
            service.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """The same, for those who only want its DATABASE_URL."""
    with postgres_service() as service:
        yield service.url


@contextmanager
def redis_service() -> Iterator[Service]:
    """A Redis server that keeps nothing. Raises MissingServiceError."""
    binary, client = shutil.which("redis-server"), shutil.which("redis-cli")
    if not binary or not client:
        raise MissingServiceError("redis-server is not installed")
    with _folder("redis") as folder:
        port = free_port()
        argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
                "--appendonly", "no", "--daemonize", "no"]  # fmt: skip
        service = Service("redis", argv, [client, "-p", str(port), "ping"], signal.SIGTERM, folder / "log")
        service.url = f"redis://127.0.0.1:{port}/0"
        try:
            service.start()
            yield service
        finally:
            service.stop()


@contextmanager
def redis() -> Iterator[str]:
    """The same, for those who only want its URL."""
    with redis_service() as service:
        yield service.url


def _postgres_binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    if not found:
        raise MissingServiceError("postgresql is not installed")
    return Path(found).resolve().parent


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"gestion-{user}-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            account = _account(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return pwd.getpwnam("nobody")


def _identity(user: str) -> dict[str, object]:
    """How to start a process as this user: these services refuse to run as root, or should not."""
    if os.geteuid() != 0:
        return {}
    account = _account(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _as_user(user: str, argv: list[str]) -> None:
    done = subprocess.run(
        argv,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **_identity(user),  # type: ignore[call-overload]
    )
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed:\n{done.stderr}")


def _retry(argv: list[str], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if subprocess.run(argv, cwd="/", capture_output=True, timeout=30, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{argv[0]} never succeeded; the server says:\n{log.read_text()[-2000:]}")
