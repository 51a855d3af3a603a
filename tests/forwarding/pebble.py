"""Debian's pebble, a real ACME server for tests, and the DNS that it asks; both on this machine."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from tests.forwarding.made_certificates import authority, certificate, new_key, pem_of, text_of
from tests.panel import free_port

START_SECONDS = 60
ANSWER_SECONDS = 30


class Pebble:
    """A running authority; `folder` has its files. It forgets everything when it ends."""

    def __init__(self, folder: Path, address: str, http_port: int, **env: str) -> None:
        self.folder, self.address, self.http_port = folder, address, http_port
        self.port, self.management, self.dns, self.dns_management = (free_port() for _ in range(4))
        self.env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", **env}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> str:
        """Where it speaks ACME."""
        return f"https://{self.address}:{self.port}/dir"

    @property
    def ca_file(self) -> str:
        """The root that its own HTTPS is signed by; not the root of what it issues."""
        return str(self.folder / "root.pem")

    @property
    def root(self) -> str:
        """The root of what it issues, new with every start."""
        context = ssl.create_default_context(cafile=self.ca_file)
        url = f"https://{self.address}:{self.management}/roots/0"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS, context=context) as answer:
            return str(answer.read().decode())

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "pebble.log").read_text()

    def start(self) -> None:
        """Start it and wait until it answers."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(self.address))])
        root, intermediate = authority()
        own = certificate(new_key(50), names, issuer=intermediate, issuer_key=new_key(101))
        (self.folder / "root.pem").write_text(text_of(root))
        (self.folder / "own.pem").write_text(text_of(own, intermediate))
        (self.folder / "own.key").write_text(pem_of(new_key(50)))
        config = {
            "listenAddress": f"{self.address}:{self.port}",
            "managementListenAddress": f"{self.address}:{self.management}",
            "certificate": str(self.folder / "own.pem"),
            "privateKey": str(self.folder / "own.key"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "externalAccountBindingRequired": False,
        }
        (self.folder / "config.json").write_text(json.dumps({"pebble": config}))
        argv = [
            "pebble",
            "-config",
            str(self.folder / "config.json"),
            "-dnsserver",
            f"{self.address}:{self.dns}",
        ]
        self._process = _started(argv, self.folder / "pebble.log", self.env)
        _wait_for(f"{self.address}:{self.port}", self._process, self.folder / "pebble.log")

    def stop(self) -> None:
        """End it, as a machine that dies."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def point(self, domain: str, address: str) -> None:
        """Have its DNS lead a name to this address."""
        self._tell_dns("clear-a", {"host": f"{domain}."})
        self._tell_dns("add-a", {"host": f"{domain}.", "addresses": [address]})

    def _tell_dns(self, path: str, data: dict[str, object]) -> None:
        url = f"http://{self.address}:{self.dns_management}/{path}"
        body = json.dumps(data).encode()
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=ANSWER_SECONDS).close()


def _started(argv: list[str], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    if shutil.which(argv[0]) is None:
        missing = f"{argv[0]} is missing: apt install pebble"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with log.open("ab") as out:
        return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.rpartition(":")
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def running(
    folder: Path, http_port: int, address: str = "127.0.0.1", leads_to: str = "127.0.0.1", **env: str
) -> Iterator[Pebble]:
    """An authority that looks at `http_port` of the names it is asked about; they lead to `leads_to`."""
    made = Pebble(folder, address, http_port, **env)
    with ExitStack() as stack:
        argv = ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
        argv += ["-defaultIPv4", leads_to, "-dns01", f"{address}:{made.dns}"]
        argv += ["-management", f"{address}:{made.dns_management}"]
        dns = _started(argv, folder / "dns.log", made.env)
        stack.callback(dns.wait)
        stack.callback(dns.kill)
        _wait_for(f"{address}:{made.dns_management}", dns, folder / "dns.log")
        stack.callback(made.stop)
        made.start()
        yield made
