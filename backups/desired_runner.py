"""The programs that a backup server needs for runs; part of the kind "rsnapshot"."""

from pathlib import Path

from hosts.state import File

FOLDER = "/usr/local/lib/gestion"
RUNNER = f"{FOLDER}/backup-run"
HERE = Path(__file__).parent / "configs"


def runner_files() -> tuple[File, ...]:
    """The runner, what it reads to copy, judge, try and restore, and what rsnapshot starts in the place of rsync."""
    return tuple(
        File(f"{FOLDER}/{name}", (HERE / f"{name}.sh").read_bytes(), mode=0o755)
        for name in (
            "backup-run",
            "backup-transfer",
            "backup-judge",
            "backup-try",
            "backup-restore",
            "backup-rsync",
        )
    )
