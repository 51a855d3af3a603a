"""The cluster of a lab as it was, and how it gets there again."""

import contextlib
import json
import os
import shutil
import signal
import time
from typing import Any

from lab import record
from lab.container import Container
from lab.errors import LabError
from lab.pve.faults import write_faults
from lab.record import HostRecord, LabRecord
from lab.sweep import members

from .service import ensure, is_up
from .state import state_folder

END_SECONDS = 30.0
Json = dict[str, Any]


class KeptCluster:
    """What a lab's Proxmox API knew when it was kept: people, storages, guests with their configuration."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.folder = state_folder(lab)
        self.file = self.folder / "cluster.json"
        self.kept = self._text()

    def set_back(self) -> str:
        """Forget all that came since, with its containers, and end faults; returns in a few words what there was.

        The API is then down if it knew too much, until `ensure`. Raises LabError.
        """
        words = []
        faults = self.folder / "faults.json"
        if faults.exists() and json.loads(faults.read_text() or "[]"):
            write_faults(faults, [])
            words.append("faults")
        made = self._made()
        if made or self._known(self._text()) != self._known(self.kept):
            self._end()
            for container in made:
                container.destroy()
            self.file.write_text(self.kept)
            shutil.rmtree(self.folder / "tasks", ignore_errors=True)
            words.append("guests")
            ensure(self._record())
        return ", ".join(words)

    def ensure(self) -> bool:
        """See that the API answers; returns whether it had to be started. Raises LabError."""
        was_down = not is_up(self.lab)
        ensure(self._record())
        return was_down

    def _text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""

    def _known(self, text: str) -> Json:
        """Return what is to be compared: not what comes and goes with hosts by themselves."""
        world: Json = json.loads(text or "{}")
        hosts = {host.name for host in self._record().hosts}
        nodes = [node for node in world.get("nodes", []) if node["name"] in hosts]
        guests = [guest for guest in world.get("guests", []) if guest["host"] in hosts]
        for node in nodes:
            node.pop("refuses")
        for guest in guests:
            guest.pop("running")
        return {**world, "nodes": nodes, "guests": sorted(guests, key=lambda guest: guest["vmid"])}

    def _made(self) -> list[Container]:
        """Return the containers that are no hosts of the lab's own: made by the API, known to it or not."""
        lab = self._record()
        own = {Container(lab, host).name for host in lab.hosts}
        found = [
            path.name for path in (lab.folder / "lxc").iterdir() if path.is_dir() and path.name not in own
        ]
        names = [name.partition(".")[2] for name in found]
        return [Container(lab, HostRecord(name, "guest", "")) for name in names]

    def _end(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        while is_up(self.lab):
            for pid in members(self.lab, "pve_api"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(f"The Proxmox API of the lab “{self.lab}” does not end.")
            time.sleep(0.02)

    def _record(self) -> LabRecord:
        lab = record.load(self.lab)
        if not lab:
            raise LabError(f"The lab “{self.lab}” is not up any more.")
        return lab
