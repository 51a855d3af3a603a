"""The lab for tests: one fleet of real hosts for each process that runs tests, and a key to log in with.

Side by side (`pytest -n N`, N at most 6) each worker has a lab of its own name and network. `LAB_NAME`, `LAB_NETWORK`
and `LAB_SECOND_NETWORK` let several runs without workers share a machine; each needs its own of all three.

What a test changes on a host is undone after it, by the lab itself: tests clear nothing up. With `--keep-lab` the run
ends at the first failure, and leaves the lab as the failed test left it.
"""

import os
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet, LabHost, LabUnavailable
from lab.record import all_names, load
from lab.reset import Ground

MOST_WORKERS = 6
# A place for each worker: 13 hosts for its fleet, and as many for the second lab that some tests of the lab make. The
# first quarter of the guarded network is the demo's, and comes last.
_PLACES = tuple(f"198.51.100.{start}/28" for start in (*range(64, 256, 16), *range(0, 64, 16)))
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Which of several processes this is, as pytest-xdist calls it (gw0, gw1 …); empty without it."""

LAB_NAME = "-".join(filter(None, [os.environ.get("LAB_NAME", "test"), WORKER]))


def free_first(of_run: str) -> list[str]:
    """The places for labs; last those that others hold: somebody's demo, or what one that was killed has left.

    `of_run` is how the names of this run's own labs begin.
    """
    labs = [name for name in all_names() if not name.startswith(of_run)] if os.geteuid() == 0 else []
    held = [IPv4Network(lab.network) for lab in map(load, labs) if lab]
    return sorted(_PLACES, key=lambda place: any(IPv4Network(place).overlaps(one) for one in held))


def _network(name: str, number: int) -> str:
    # All workers have the list as it was when the run began.
    places = os.environ.setdefault("LAB_PLACES", ",".join(free_first(LAB_NAME))).split(",")
    return os.environ.get(name) or places[number % len(places)]  # more are refused: pytest_configure


_NUMBER = int(WORKER.removeprefix("gw") or 0)
LAB_NETWORK = _network("LAB_NETWORK", _NUMBER)
SECOND_NETWORK = _network("LAB_SECOND_NETWORK", MOST_WORKERS + _NUMBER)

_LEFT: dict[pytest.Session, bool] = {}
"""Whether a failed test's lab is left to be looked into."""


@dataclass(frozen=True)
class LabKey:
    """The administrator's key pair, which root on every host of the lab trusts."""

    path: Path
    public: str

    @property
    def private(self) -> str:
        """The private key as OpenSSH writes it."""
        return self.path.read_text()

    def ssh(self, host: LabHost, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command on a host by OpenSSH's own client, which accepts the host's key and no other."""
        address, port = host.ssh_endpoint
        known = self.path.with_name(f"known_hosts-{host.container.name}")
        known.write_text(f"[{address}]:{port} {host.host_key}\n{address} {host.host_key}\n")
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15"]
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
def fleet(request: pytest.FixtureRequest, lab_key: LabKey) -> Iterator[Fleet]:
    """The lab's default fleet, new for this run; skips where there can be none, and fails under CI=true."""
    try:
        lab = Fleet.up(LAB_NAME, LAB_NETWORK, [lab_key.public], fresh=True)
    except LabUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No lab in CI: {unavailable}")
        pytest.skip(str(unavailable))
    yield lab
    if not _LEFT.get(request.session):
        lab.down()


@pytest.fixture(scope="session")
def lab_ground(fleet: Fleet) -> Ground:
    """The state of the fleet's hosts that each test finds, and they are set back to after it."""
    return Ground(fleet)


@pytest.fixture(autouse=True)
def hosts_set_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """The fleet is set back after each test on it; hosts that a wider fixture has added stay, as they are now."""
    if not _is_on_fleet(request):
        yield
        return
    ground: Ground = request.getfixturevalue("lab_ground")
    ground.keep()
    yield
    if _LEFT.get(request.session):
        return
    done = ground.set_back()
    # Names of files need not be text, and what goes from process to process must.
    words = ascii("; ".join(f"{host}: {what}" for host, what in done.items()))
    request.node.user_properties.append(("lab set back", f"{ground.seconds:.2f} s {words}"))


def _is_on_fleet(request: pytest.FixtureRequest) -> bool:
    on_hosts = any(map(request.node.get_closest_marker, ("lab", "browser")))
    # Some rooms call rows of their own so.
    return (
        on_hosts and "fleet" in request.fixturenames and isinstance(request.getfixturevalue("fleet"), Fleet)
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse more processes than there are networks for their labs."""
    count = len(config.getoption("tx", default=None) or ())
    if count > MOST_WORKERS:
        words = "each has a lab of its own, and there are no networks for more. Run it with"
        raise pytest.UsageError(f"-n {count}: at most {MOST_WORKERS}, because {words} -n {MOST_WORKERS}.")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--keep-lab`."""
    words = "end at the first failure of a test on the lab's hosts, and leave them as that test left them"
    parser.getgroup("lab").addoption("--keep-lab", action="store_true", help=words)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """End the run at a failure if the lab is to be looked into."""
    report = yield
    if report.failed and item.config.getoption("--keep-lab") and "fleet" in getattr(item, "fixturenames", ()):
        words = (
            f"the lab {LAB_NAME} is left as this test left it. What there is: python -m lab status --lab {LAB_NAME}. "
            f"A shell on a host: python -m lab run NAME --lab {LAB_NAME}. "
            f"To take it down: python -m lab down --lab {LAB_NAME} (the next run does so too)"
        )
        report.sections.append(("the lab", words))
        _LEFT[item.session] = True
        item.session.shouldfail = words
    return report
