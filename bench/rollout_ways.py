"""The ways by which bench/rollout.py brings a file to all hosts."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from hosts import engine
from hosts.address import parse_connection
from hosts.pool import Pool
from hosts.ssh import SSHHost
from hosts.state import Command, File, State
from hosts.target import Target
from lab import LabHost

PATH = "/etc/nginx/conf.d/bench.conf"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gestion-bench"


class Way(Protocol):
    """A way to bring a file to all hosts. `most_rounds`: how often it is measured at most."""

    name: str
    most_rounds: int

    def roll_out(self, data: bytes) -> None:
        """Write, check, reload, read back; raises if a host did not do it."""
        ...


class Hosts:
    """The hosts, and what logging in to them takes."""

    def __init__(self, hosts: Sequence[LabHost], key: Path) -> None:
        self.key = key
        self.folder = key.parent
        self.addresses = [host.address for host in hosts]
        private = key.read_text()
        self.targets = [
            Target(parse_connection(host.connection), (host.host_key,), private) for host in hosts
        ]
        self.known = self.folder / "known_hosts"
        self.known.write_text("".join(f"{host.address} {host.host_key}\n" for host in hosts))
        self.pool = Pool(idle_seconds=3600)


class OpenSSH:
    """The limit: one connection a host, one script on its standard input."""

    name = "ssh"
    most_rounds = 1000

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "KexAlgorithms=curve25519-sha256"]
        options.append(f"UserKnownHostsFile={hosts.known}")
        self.argv = ["ssh", "-F", "none", "-i", str(hosts.key)]
        self.argv += [word for option in options for word in ("-o", option)]

    def roll_out(self, data: bytes) -> None:
        """See Way."""
        script = f"set -e\numask 022\ncat >{PATH}.new <<'END-OF-FILE'\n".encode() + data
        script += f"END-OF-FILE\nmv {PATH}.new {PATH}\nnginx -t -q\nsystemctl reload nginx\n".encode()
        script += f"sha256sum {PATH}\n".encode()
        running = [
            subprocess.Popen(
                [*self.argv, f"root@{address}", "sh", "-s"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for address in self.hosts.addresses
        ]
        with ThreadPoolExecutor(len(running)) as pool:
            said = list(pool.map(lambda process: process.communicate(script), running))
        digest = sha256(data).hexdigest().encode()
        for out, err in said:
            if not out.startswith(digest):
                raise RuntimeError(f"ssh: {err.decode()}")


def state_of(data: bytes) -> State:
    """The file as one of our kinds would have it."""
    return State(
        "bench",
        (File(PATH, data),),
        checks=(Command(("nginx", "-t", "-q"), in_place=True),),
        activate=(Command(("systemctl", "reload", "nginx")),),
    )


class Gestion:
    """Plan and apply, one thread a host, over new connections or warm ones."""

    most_rounds = 1000

    def __init__(self, hosts: Hosts, *, warm: bool = False) -> None:
        self.hosts = hosts
        self.warm = warm
        self.name = "warm" if warm else "cold"

    def roll_out(self, data: bytes) -> None:
        """See Way."""
        state = state_of(data)

        def one(target: Target) -> bool:
            if self.warm:
                with self.hosts.pool.connect(target) as host:
                    return engine.apply(host, engine.plan(host, state), adopt=True).changed
            host = SSHHost(target)
            try:
                return engine.apply(host, engine.plan(host, state), adopt=True).changed
            finally:
                host.close()

        with ThreadPoolExecutor(len(self.hosts.targets)) as pool:
            changed = list(pool.map(one, self.hosts.targets))
        if not all(changed) and type(self) is Gestion:
            raise RuntimeError("gestion: a host was left out")


class NothingToDo(Gestion):
    """The same when every host holds the file already."""

    def __init__(self, hosts: Hosts, *, warm: bool = False) -> None:
        super().__init__(hosts, warm=warm)
        self.name = "nothing_warm" if warm else "nothing"


class Program:
    """A program of PyPI in an environment of its own."""

    name = ""
    program = ""
    packages: tuple[str, ...] = ()
    most_rounds = 5

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.bin = CACHE / self.name / "bin"

    def ready(self) -> bool:
        """Whether its environment is there."""
        return (self.bin / self.program).exists()

    def prepare(self) -> None:
        """Make its environment, if it is not there, and its files."""
        if not self.ready():
            subprocess.run([sys.executable, "-m", "venv", str(CACHE / self.name)], check=True)
            subprocess.run([str(self.bin / "pip"), "install", "-q", *self.packages], check=True)

    def _run(self, argv: Sequence[str], **environment: str) -> None:
        done = subprocess.run(
            [str(self.bin / self.program), *argv],
            cwd=self.hosts.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def roll_out(self, data: bytes) -> None:
        """See Way."""
        (self.hosts.folder / "bench.conf").write_bytes(data)
        self.start(sha256(data).hexdigest())

    def start(self, digest: str) -> None:
        """Run the program."""
        raise NotImplementedError


class Pyinfra(Program):
    """pyinfra: put, then the rest in one shell operation."""

    name = "pyinfra"
    program = "pyinfra"
    packages = ("pyinfra", "paramiko<5")

    def start(self, digest: str) -> None:
        """See Program."""
        login = {"ssh_user": "root", "ssh_key": str(self.hosts.key)}
        login["ssh_known_hosts_file"] = str(self.hosts.known)
        (self.hosts.folder / "inventory.py").write_text(f"hosts = ({self.hosts.addresses!r}, {login!r})\n")
        check = shlex.quote(f"{digest}  {PATH}")
        commands = ["nginx -t -q", "systemctl reload nginx", f"echo {check} | sha256sum -c --status"]
        (self.hosts.folder / "deploy.py").write_text(
            "from pyinfra.operations import files, server\n"
            f"files.put(src='bench.conf', dest={PATH!r}, mode='644')\n"
            f"server.shell(commands={commands!r})\n"
        )
        self._run(["-y", "--parallel", str(len(self.hosts.addresses)), "inventory.py", "deploy.py"])


class Ansible(Program):
    """ansible-core with pipelining and as many forks as hosts, over connections that it keeps."""

    name = "ansible"
    program = "ansible-playbook"
    packages = ("ansible-core",)
    most_rounds = 2

    def start(self, digest: str) -> None:
        """See Program."""
        shared = f"ansible_user=root ansible_ssh_private_key_file={self.hosts.key}"
        lines = [f"{address} {shared}" for address in self.hosts.addresses]
        (self.hosts.folder / "inventory").write_text("\n".join(lines) + "\n")
        (self.hosts.folder / "play.yml").write_text(
            f"""- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {{src: bench.conf, dest: {PATH}, mode: "0644"}}
    - ansible.builtin.command: nginx -t -q
    - ansible.builtin.service: {{name: nginx, state: reloaded}}
    - ansible.builtin.stat: {{path: {PATH}, checksum_algorithm: sha256}}
      register: there
      failed_when: there.stat.checksum != "{digest}"
"""
        )
        self._run(
            ["-i", "inventory", "-f", str(len(self.hosts.addresses)), "play.yml"],
            ANSIBLE_PIPELINING="1",
            ANSIBLE_LOCAL_TEMP=str(self.hosts.folder / "ansible"),
            ANSIBLE_SSH_ARGS=f"-F none -o UserKnownHostsFile={self.hosts.known} -o ControlMaster=auto "
            "-o ControlPersist=60s -o KexAlgorithms=curve25519-sha256",
        )
