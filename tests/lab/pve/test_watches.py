"""A node of the lab's cluster whose watch has ended is watched again: its API would be silent for ever."""

import threading

from lab.pve.real.service import Service
from lab.record import HostRecord

PVE1 = HostRecord("pve1", "proxmox", "198.51.100.2")


class Watching(Service):
    """Its watches end at once the first time, as by an error, and then stay."""

    def __init__(self) -> None:
        self._watches = {}
        self.begun = 0
        self.end = threading.Event()

    def _watch(self, host: HostRecord) -> None:
        self.begun += 1
        if self.begun > 1:
            self.end.wait()


def test_a_watch_that_ended_is_begun_anew_and_one_that_is_on_is_left_alone() -> None:
    service = Watching()
    service._see_that_it_is_watched(PVE1)
    service._watches["pve1"].join()
    for _time in range(3):
        service._see_that_it_is_watched(PVE1)
    service.end.set()
    service._watches["pve1"].join()
    assert service.begun == 2
