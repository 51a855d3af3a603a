"""The lab for tests: one fleet of real hosts for the whole run, and a key to log in to them with.

`LAB_NAME` and `LAB_NETWORK` let several runs share a machine; each needs its own of both.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Fleet, LabHost, LabUnavailable

LAB_NAME = os.environ.get("LAB_NAME", "test")
LAB_NETWORK = os.environ.get("LAB_NETWORK") or None


@dataclass(frozen=True)
class LabKey:
    """The administrator's key pair, which root on every host of the lab trusts."""

    path: Path
    public: str

    @property
    def private(self) -> str:
        """The private key as OpenSSH writes it."""
        return self.path.read_text()

    def ssh(self, host: LabHost, command: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command on a host by OpenSSH's own client, which accepts the host's key and no other."""
        address, port = host.ssh_endpoint
        known = self.path.with_name(f"known_hosts-{host.container.name}")
        known.write_text(f"[{address}]:{port} {host.host_key}\n{address} {host.host_key}\n")
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=2"]
        options.append(f"UserKnownHostsFile={known}")
        argv = ["ssh", "-F", "none", "-i", str(self.path), "-p", str(port)]
        argv += [word for option in options for word in ("-o", option)]
        return subprocess.run(
            [*argv, f"root@{address}", command], capture_output=True, text=True, timeout=timeout, check=False
        )


@pytest.fixture(scope="session")
def lab_key(tmp_path_factory: pytest.TempPathFactory) -> LabKey:
    """A key pair made for this run."""
    path = tmp_path_factory.mktemp("lab-key") / "id_ed25519"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin", "-f", str(path)], check=True
    )
    return LabKey(path, path.with_suffix(".pub").read_text().strip())


@pytest.fixture(scope="session")
def fleet(lab_key: LabKey) -> Iterator[Fleet]:
    """The lab's default fleet, new for this run; skips where there can be none, and fails under CI=true."""
    try:
        lab = Fleet.up(LAB_NAME, LAB_NETWORK, [lab_key.public], fresh=True)
    except LabUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No lab in CI: {unavailable}")
        pytest.skip(str(unavailable))
    with lab:
        yield lab
