"""A backup beside plain rsnapshot doing the same: `.venv/bin/python -m bench.backup [--quick] [--json FILE]`.

On the lab's hosts (as root): 300 MB in 5,000 files, copied for the first time and again with nothing changed. Both use
the same configuration, to folders beside each other; plain is `rsnapshot sync` and `rsnapshot hourly`. Ours is timed
the same way, from the start of the program to its end, on the host. They take turns, and the medians are compared.
LAB_NETWORK names the lab's network (default 198.51.100.128/27).
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from lab import LabHost

LAB = "benchbackup"
WANTED = {"first_copy_beside_rsnapshot": 1.05, "no_change_beside_rsnapshot": 1.05}
OURS, PLAIN = "/backups/ours", "/backups/plain"
IDENTITY = UUID("8c0f6f5e-5d3c-4a35-a6ab-3d1f0c2a9b11")


def sh(host: "LabHost", script: str, stdin: bytes = b"") -> str:
    """What a script prints on a host; raises RuntimeError if it fails."""
    done = host.exec(["sh", "-c", script], stdin=stdin, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout.decode()


def prepare(there: "LabHost", here: "LabHost", files: int, size: int) -> None:
    """The tree at the source; on the backup server our programs and a configuration for each of the two."""
    from backups.desired_plans import Plan
    from backups.desired_plans import files as files_of
    from backups.desired_runner import runner_files
    from backups.ways import Hop
    from hosts.address import Address

    sh(there, 'mkdir -p ~/.ssh; ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519')
    here.trust([sh(there, "cat ~/.ssh/id_ed25519.pub").strip()])
    make = (
        f"cd /srv/tree/$d && i=0; while [ $i -lt 50 ]; do head -c {size} /dev/urandom >$i; i=$((i + 1)); done"
    )
    sh(
        here,
        f"d=0; while [ $d -lt {files // 50} ]; do mkdir -p /srv/tree/$d; {make}; cd /; d=$((d + 1)); done",
    )
    hop = Hop("source", Address(here.address), (here.host_key,))
    for number, folder in enumerate((OURS, PLAIN)):
        uuid = IDENTITY if not number else UUID(int=IDENTITY.int + 1)
        plan = Plan(uuid, "/srv/tree", folder, (), one_file_system=False, keeps=(("hourly", 6),), way=(hop,))
        for file in (*files_of(plan), *runner_files()):
            put = f"mkdir -p $(dirname {file.path}) && cat >{file.path} && chmod {file.mode:o} {file.path}"
            sh(there, put, file.content)


def plain(there: "LabHost") -> float:
    """Seconds that rsnapshot itself takes."""
    config = f"/etc/gestion/backups/{UUID(int=IDENTITY.int + 1)}.conf"
    return timed(there, f"rsnapshot -c {config} sync && rsnapshot -c {config} hourly")


def ours(there: "LabHost", number: int) -> float:
    """Seconds that one of our runs takes; raises RuntimeError if it is not done."""
    from backups.paths import Paths
    from backups.runner import work_text

    paths = Paths(IDENTITY, OURS)
    work = {
        "uuid": IDENTITY, "config": paths.config, "lock": paths.lock, "destination": OURS, "levels": "hourly",
        "lowest": "hourly", "keeps": "hourly:6", "stall": 600, "longest": 3600, "shrink_limit": 50,
    }  # fmt: skip
    run = f"/var/lib/gestion/backups/runs/bench{number}"
    sh(there, f"mkdir -p {run} && cat >{run}/spec", work_text(work))
    seconds = timed(there, f"/usr/local/lib/gestion/backup-run run bench{number}")
    if "state=done" not in sh(there, f"cat {run}/result"):
        raise RuntimeError(sh(there, f"cat {run}/result; cat {run}/output 2>&1 || :"))
    return seconds


def timed(there: "LabHost", script: str) -> float:
    """Seconds a script takes on the host, with nothing of before left to be written."""
    sh(there, "sync -f /backups 2>/dev/null || :")
    begin = time.perf_counter()
    sh(there, f"{script} >/dev/null 2>&1 </dev/null")
    return time.perf_counter() - begin


def measure(*, quick: bool) -> dict[str, float]:
    """All figures."""
    from lab import Fleet, HostSpec

    files, size, tries = (1000, 20_000, 4) if quick else (5000, 60_000, 8)
    network = os.environ.get("LAB_NETWORK", "198.51.100.128/27")
    specs = [HostSpec("backup1", "backup"), HostSpec("files1")]
    first: tuple[list[float], list[float]] = ([], [])
    again: tuple[list[float], list[float]] = ([], [])
    with Fleet.up(LAB, network, [], specs, fresh=True) as fleet:
        there, here = fleet["backup1"], fleet["files1"]
        prepare(there, here, files, size)
        number = 0
        for turn in range(-1, tries):  # the turn before the first warms both sides up, and does not count
            sh(there, f"rm -rf {OURS} {PLAIN}; mkdir -p /backups")
            for kept in (first, again, again):
                number += 1
                # Who comes first pays for what the other finds in memory: so they change places with every turn.
                for mine in (True, False) if turn % 2 else (False, True):
                    seconds = ours(there, number) if mine else plain(there)
                    if turn >= 0:
                        kept[0 if mine else 1].append(seconds)
    figures = {}
    for name, (own, theirs) in (("first_copy", first), ("no_change", again)):
        figures[f"seconds_{name}"] = statistics.median(own)
        figures[f"seconds_{name}_rsnapshot"] = statistics.median(theirs)
        figures[f"{name}_beside_rsnapshot"] = statistics.median(own) / statistics.median(theirs)
    return figures


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="A backup beside plain rsnapshot.")
    parser.add_argument("--quick", action="store_true", help="20 MB in 1,000 files, fewer tries")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    os.environ.setdefault("GESTION_ENV_FILE", os.devnull)
    os.environ["DJANGO_SETTINGS_MODULE"] = "gestion.settings"
    import django

    from lab import LabUnavailable

    django.setup()
    try:
        figures = measure(quick=options.quick)
    except LabUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 3
    ok = all(figures[name] <= limit for name, limit in WANTED.items())
    for name, value in figures.items():
        limit = f"<= {WANTED[name]:g}" if name in WANTED else ""
        print(f"{name:44} {value:12.3f}   {limit}")
    if options.json:
        wanted = {name: f"<= {limit:g}" for name, limit in WANTED.items()}
        options.json.write_text(json.dumps({"figures": figures, "wanted": wanted, "ok": ok}, indent=1))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
