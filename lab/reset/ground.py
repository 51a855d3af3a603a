"""A whole lab as it was when it was kept, and how it gets there again."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from lab import record
from lab.errors import LabError
from lab.fleet import Fleet
from lab.pve.real.kept import KeptCluster

from .host_ground import HostGround

SIDE_BY_SIDE = 8
T = TypeVar("T")
R = TypeVar("R")


class Ground:
    """What a lab's hosts are set back to. `keep` takes in hosts that are new; `set_back` undoes all since then."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.seconds = 0.0
        self._hosts: dict[str, HostGround] = {}
        self._folder = record.lab_folder(fleet.name) / "kept"
        self.keep()

    def keep(self) -> None:
        """Keep hosts that are not kept yet as they are now; costs nothing if there are none. Raises LabError."""
        new = [host for host in self.fleet if host.name not in self._hosts]
        if new:
            kept = _each(lambda host: HostGround(host, self._folder), new)
            self._hosts |= dict(zip((host.name for host in new), kept, strict=True))
            self._cluster = KeptCluster(self.fleet.name)

    def set_back(self) -> dict[str, str]:
        """Set the lab back; returns what had to be done, by host, in a few words. Raises LabError.

        `seconds` then says how long it took.
        """
        begin = time.monotonic()
        done = self._set_record_back()
        if words := self._cluster.set_back():
            done["the Proxmox API"] = words
        # A host behind another needs that one's bridge.
        for behind in (False, True):
            grounds = [ground for ground in self._hosts.values() if bool(ground.host.parent) == behind]
            words_of = _each(HostGround.set_back, grounds)
            done |= {
                ground.host.name: words for ground, words in zip(grounds, words_of, strict=True) if words
            }
        if self._cluster.ensure():
            done["the Proxmox API"] = "did not run"
        self.seconds = time.monotonic() - begin
        return done

    def _set_record_back(self) -> dict[str, str]:
        """Remove the hosts that are new, and write those down again that are struck off."""
        lab = record.load(self.fleet.name)
        if not lab:
            raise LabError(f"The lab “{self.fleet.name}” is not up any more.")
        new = [host.name for host in lab.hosts if host.name not in self._hosts]
        own = [ground.host.container.host for ground in self._hosts.values()]
        lost = [host for host in own if host not in lab.hosts]
        if lost:
            others = [host for host in lab.hosts if host not in own]
            record.save(replace(lab, hosts=(*own, *others)))
        if new:
            self.fleet.remove_hosts(new)
        return dict.fromkeys(new, "removed")


def _each(act: Callable[[T], R], things: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(act, things))
