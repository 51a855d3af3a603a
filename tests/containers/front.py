"""The real Caddy with the shipped Caddyfiles, before web processes of a panel, all on loopback."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tests.panel import ROOT, free_port
from tests.waiting import wait_for

NAME = "localhost"  # resolved everywhere, and not a public name: Caddy's own authority signs for it


class Web:
    """One Daphne of the panel, which notes each request."""

    def __init__(self, folder: Path, env: dict[str, str], number: int) -> None:
        self.port = free_port()
        self.log = folder / f"web{number}.requests"
        argv = [sys.executable, "-m", "gestion.web", "-b", "127.0.0.1", "-p", str(self.port)]
        self._argv = [*argv, "--access-log", str(self.log)]
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers somewhat later."""
        self._process = subprocess.Popen(self._argv, cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def served(self, path: str) -> int:
        """How many requests for this path it has had."""
        return self.log.read_text().count(f'"GET {path}') if self.log.exists() else 0


class Front:
    """A panel's processes on one folder, and Caddies before them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.http_port, self.https_port = free_port(), free_port()
        self.url = f"https://{NAME}:{self.https_port}"
        self.env = {
            **os.environ,
            "GESTION_ENV_FILE": os.devnull,
            "DATA_DIR": str(folder / "data"),
            "STATIC_ROOT": str(folder / "static"),
            "GESTION_URL": self.url,
            "TRUST_PROXY": "true",
        }
        for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
            self.env.pop(name, None)  # all processes are on this machine: the embedded default will do
        self.webs = [Web(folder, self.env, number) for number in (1, 2)]

    def start_panel(self) -> None:
        """Migrate, collect the static files, start two web processes and a worker."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        for web in self.webs:
            web.start()
            self.stack.callback(web.kill)
        worker = [sys.executable, "-m", "celery", "--quiet", "-A", "gestion", "worker", "--queues", "default"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.process(worker, self.folder / "worker.log", self.env)

    def manage(self, *argv: str) -> str:
        """Run a management command on the panel's data; returns what it prints."""
        return subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def caddy(self, caddyfile: str, name: str = "caddy", **env: str) -> Path:
        """Start Caddy with a shipped Caddyfile; returns the file it logs to."""
        home = self.folder / name
        home.mkdir()
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_DATA_HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "GESTION_HOST": NAME,
            "GESTION_TLS": "internal",
            "GESTION_HTTP_PORT": str(self.http_port if name == "caddy" else free_port()),
            "GESTION_HTTPS_PORT": str(self.https_port),
            "GESTION_STATIC": str(self.folder / "static"),
            "GESTION_UPSTREAMS": " ".join(f"127.0.0.1:{web.port}" for web in self.webs),
            **env,
        }
        argv = ["caddy", "run", "--adapter", "caddyfile", "--config", str(ROOT / caddyfile)]
        self.process(argv, home / "log", settings)
        return home / "log"

    def process(self, argv: list[str], log: Path, env: dict[str, str]) -> None:
        """A process that ends with the test."""
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.stack.callback(process.wait)
        self.stack.callback(process.send_signal, signal.SIGKILL)

    def browser(self, address: str = "127.0.0.1", name: str = "caddy") -> requests.Session:
        """A client on this address of loopback that trusts the authority of this Caddy alone."""
        root = self.folder / name / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        wait_for(root.exists, log=self.folder / name / "log", name="Caddy's authority")
        session = requests.Session()
        session.trust_env = False
        session.verify = str(root)
        session.mount("https://", From(address))
        return session

    def ready(self, session: requests.Session) -> None:
        """Wait until every web process answers, by way of Caddy and by itself."""
        for web in self.webs:
            wait_for(partial(is_well, f"http://127.0.0.1:{web.port}/health/"), 60, name="a web process")
        wait_for(lambda: is_well(f"{self.url}/health/", session), name="Caddy")


class From(HTTPAdapter):
    """Connects from a chosen address of this machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, source_address=(self.address, 0), **options)


def is_well(url: str, session: requests.Session | None = None) -> bool:
    """Whether /health/ there says that pages are served."""
    try:
        answer = (session or requests).get(url, timeout=5, headers={} if session else {"Host": NAME})
    except requests.RequestException:
        return False
    return answer.status_code == 200


@contextmanager
def front(folder: Path) -> Iterator[Front]:
    """A panel with two web processes and a worker; Caddies are started by the test."""
    with ExitStack() as stack:
        running = Front(folder, stack)
        running.start_panel()
        yield running
