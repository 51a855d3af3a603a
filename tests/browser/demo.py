"""`make demo` for tests: the real one, on a lab, a port and data of its own."""

import os
import re
import signal
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

from lab import Fleet
from lab.addresses import DEFAULT_NETWORKS
from tests.lab_fixtures import LAB_NAME, SECOND_NETWORK
from tests.leftovers import ending_with_us
from tests.panel import ROOT, free_port
from tests.waiting import wait_for

LAB = f"{LAB_NAME[:10]}-d"
TOLD = re.compile(r"demo is at +(\S+)\n +Sign in as +(\S+)\n +with the password +(\S+)")
DOCUMENTED = IPv4Network(DEFAULT_NETWORKS["demo"])


class Demo:
    """The demo, running with its data in `folder`. A context manager, at whose end its lab is gone."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "demo.log"
        self.env = {
            **os.environ,
            "DEMO_DIR": str(folder / "demo"),
            "DEMO_LAB": LAB,
            "DEMO_NETWORK": SECOND_NETWORK,
            "DEMO_PORT": str(free_port()),
        }
        self.url = self.user = self.password = ""

    def __enter__(self) -> "Demo":
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ending_with_us(recipe("demo")[-1].split()),
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            told = wait_for(self._told, 180, self.log, name="what the demo prints")
        except BaseException:
            self.__exit__()
            raise
        self.url, self.user, self.password = told[1].rstrip("/"), told[2], told[3]
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(180)  # the panel, then three hosts one after the other
        if fleet := Fleet.find(LAB):
            fleet.down()

    @property
    def fleet(self) -> Fleet:
        """Its hosts."""
        fleet = Fleet.find(LAB)
        assert fleet, f"the demo has no hosts:\n{self.log.read_text()}"
        return fleet

    def at_its_own_addresses(self, text: str) -> str:
        """`text` with the addresses that documents say: they are those of a demo in its usual network."""
        own = IPv4Network(SECOND_NETWORK)
        for number in range(1, own.num_addresses):
            text = re.sub(rf"\b{re.escape(str(DOCUMENTED[number]))}\b", f"<{number}>", text)
        return re.sub(r"<(\d+)>", lambda found: str(own[int(found[1])]), text)

    def _told(self) -> re.Match[str] | None:
        assert self._process.poll() is None, self.log.read_text()
        return TOLD.search(self.log.read_text())


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found, target
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in found[1].splitlines()]
