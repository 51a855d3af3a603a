"""pyinfra and ansible-core for `bench.rollout`, each in a virtual environment of its own outside the project's."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gestion-bench"
PYINFRA, ANSIBLE = "pyinfra==3.10.0", "ansible-core==2.19.14"
REMOTE = "/etc/nginx/conf.d/bench.conf"

_DEPLOY = f"""
from pyinfra.operations import files, server, systemd
put = files.put(name="file", src="new.conf", dest="{REMOTE}", mode="644")
server.shell(name="check", commands=["nginx -t"], _if=put.did_change)
systemd.service(name="reload", service="nginx", reloaded=True, _if=put.did_change)
server.shell(name="verify", commands=["sha256sum {REMOTE}"], _if=put.did_change)
"""

_PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"copy": {"src": "new.conf", "dest": REMOTE, "mode": "0644"}, "register": "put"},
            {"command": "nginx -t", "when": "put.changed"},
            {"service": {"name": "nginx", "state": "reloaded"}, "when": "put.changed"},
            {"stat": {"path": REMOTE, "checksum_algorithm": "sha256"}, "when": "put.changed"},
        ],
    }
]

_ANSIBLE_CFG = """[defaults]
forks = 40
host_key_checking = True
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
ssh_args = -F none -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={known} {kex}
control_path_dir = {control}
"""


@dataclass(frozen=True)
class Machine:
    """A lab host as the tools see it."""

    name: str
    address: str
    host_key: str


def installed(requirement: str, program: str) -> Path | None:
    """Make the tool's environment if it is not there yet, and give its program; None where there is no registry."""
    name = requirement.partition("==")[0]
    folder = CACHE / requirement.replace("==", "-")
    if not (folder / "done").exists():
        print(f"Installing {name} into {folder} …", file=sys.stderr)
        CACHE.mkdir(parents=True, exist_ok=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=False)
        got = (
            made.returncode
            or subprocess.run(
                [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", requirement],
                check=False,
            ).returncode
        )
        if got:
            print(f"{name} could not be installed; its figures are left out.", file=sys.stderr)
            return None
        (folder / "done").touch()
    return folder / "bin" / program


class Tools:
    """A folder with what pyinfra and Ansible are to do on the machines."""

    def __init__(self, folder: Path, machines: Sequence[Machine], key: Path) -> None:
        self.folder = folder
        self.known = folder / "known_hosts"
        self.known.write_text("".join(f"{one.address} {one.host_key}\n" for one in machines))
        data = {"ssh_user": "root", "ssh_key": str(key), "ssh_known_hosts_file": str(self.known)}
        hosts = [(one.address, data) for one in machines]
        (folder / "inventory.py").write_text(f"machines = {hosts!r}\n")
        (folder / "deploy.py").write_text(_DEPLOY)
        (folder / "hosts.ini").write_text(
            "".join(
                f"{one.address} ansible_user=root ansible_ssh_private_key_file={key}\n" for one in machines
            )
        )
        (folder / "play.json").write_text(json.dumps(_PLAYBOOK))
        self.control = folder / "control"
        (folder / "ansible.cfg").write_text(
            _ANSIBLE_CFG.format(
                known=self.known, kex="-o KexAlgorithms=curve25519-sha256", control=self.control
            )
        )

    def pyinfra(self, program: Path, content: bytes) -> None:
        """Roll it out by pyinfra."""
        (self.folder / "new.conf").write_bytes(content)
        self._run([program, "--yes", "--parallel", "40", "inventory.py", "deploy.py"])

    def ansible(self, program: Path, content: bytes) -> None:
        """Roll it out by Ansible; its connections stay open until `close`."""
        (self.folder / "new.conf").write_bytes(content)
        self._run([program, "-i", "hosts.ini", "play.json"])

    def close(self) -> None:
        """End Ansible's open connections."""
        for socket in self.control.glob("*"):
            subprocess.run(
                ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={socket}", "bench"],
                capture_output=True,
                check=False,
            )

    def _run(self, argv: Sequence[str | Path]) -> None:
        env = {**os.environ, "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
