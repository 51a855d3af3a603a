"""The shipped composition, really up: built from the shipped files on an engine of its own, under gestion.test."""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.containers.engine import Engine
from tests.containers.images import import_bases
from tests.panel import ROOT

NAME = "gestion.test"
PROJECT = "panel"


@dataclass(frozen=True)
class Composition:
    """The running panel: docker-compose's project on an engine."""

    engine: Engine
    folder: Path

    def compose(self, *argv: str, timeout: float = 300) -> str:
        """Run `docker-compose …` on the shipped file; returns what it prints."""
        return self.engine.run(["docker-compose", "-p", PROJECT, *argv], timeout=timeout, cwd=self.folder)

    def inside(self, service: str, *argv: str) -> str:
        """Run a command in a service's first container; returns what it prints."""
        return self.engine.docker("exec", self.container(service), *argv)

    def manage(self, *argv: str) -> str:
        """Run a management command in the first web container; returns what it prints."""
        return self.inside("web1", "python3", "manage.py", *argv)

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker tells of a service's first container."""
        (found,) = json.loads(self.engine.docker("inspect", self.container(service)))
        return dict(found)

    def container(self, service: str) -> str:
        """The id of a service's first container, running or ended."""
        label = f"label=com.docker.compose.service={service}"
        return self.engine.docker("ps", "--all", "--quiet", "--filter", label).split()[0]

    def ask(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET over HTTPS, the certificate checked against the proxy's own authority: status, headers, body."""
        root = self.inside("proxy", "cat", "/data/caddy/pki/authorities/local/root.crt")
        context = ssl.create_default_context(cadata=root)
        with socket.create_connection((self.engine.address, 443), timeout=20) as plain:
            connection = http.client.HTTPSConnection(NAME, context=context)
            connection.sock = context.wrap_socket(plain, server_hostname=NAME)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()


@contextmanager
def composition() -> Iterator[Composition]:
    """Build and start the whole; about two minutes."""
    with Engine() as engine:
        import_bases(engine, base_names())
        running = Composition(engine, checkout(engine.folder / "gestion"))
        running.compose("build", "--quiet", timeout=600)
        running.compose("up", "-d", timeout=300)
        yield running


def base_names() -> dict[str, str]:
    """The base images that the shipped files name: stage of our stand-in, and name."""
    named = re.findall(r"^ARG (\w+)_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    named += re.findall(r"image: \$\{(\w+)_IMAGE:-(\S+)\}", (ROOT / "docker-compose.yml").read_text())
    return {"server": "gestion-test/server", **{stage.lower(): name for stage, name in named}}


def checkout(folder: Path) -> Path:
    """A copy of what a clone of the project holds, with the packages fetched and the host's name written down."""
    listed = subprocess.run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    scripts = sysconfig.get_path("scripts")
    subprocess.run(
        ["sh", "-c", 'PATH="$0:$PATH" exec deploy/docker/fetch.sh', scripts],
        cwd=folder,
        check=True,
        timeout=300,
    )
    (folder / ".env").write_text(f"GESTION_HOST={NAME}\nGESTION_TLS=internal\n")
    return folder
