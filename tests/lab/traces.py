"""What a lab has left on this machine. Other labs may come and go beside it; theirs does not count."""

import subprocess
from pathlib import Path

from lab import record, sweep
from lab.addresses import bridge_name, veth_name


def traces(lab: str) -> list[str]:
    """Return every trace of a lab; asks no tool of LXC's, since they leave locks themselves."""
    folder = str(record.lab_folder(lab))
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if folder in line]
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    folders = [folder, f"/run/lock/gestion-lab-{lab}", f"/run/lxc/lock{folder}"]
    return [
        *(f"process {pid}" for pid in sweep.processes(lab)),
        *sweep.control_groups(lab),
        *mounts,
        *_interfaces(lab),
        *(rule for rule in rules if f'"gestion-lab {lab}"' in rule),
        *(path for path in folders if Path(path).exists()),
    ]


def _interfaces(lab: str) -> list[str]:
    """Return the lab's bridge, and every cable that no other lab knows."""
    # Another lab's host may go or come while we look: it is known before or after.
    before = _cables_of_others(lab)
    present = {path.name for path in Path("/sys/class/net").iterdir()}
    unknown = {name for name in present - before - _cables_of_others(lab) if name.startswith("gv")}
    return sorted(unknown | (present & {bridge_name(lab)}))


def _cables_of_others(lab: str) -> set[str]:
    others = [found for name in record.all_names() if name != lab and (found := record.load(name))]
    return {veth_name(other.name, host.name) for other in others for host in other.hosts}
