"""The lock of gestion-nginx: only root can take it, and it is not waited for for ever."""

import subprocess
from pathlib import Path

from forwarding.configs import configured
from tests.attackers import holding_lock, needs_root


def test_somebody_who_holds_the_lock_is_named_and_not_waited_for(tmp_path: Path):
    needs_root()
    text, _mark, _rest = configured("gestion-nginx.j2").partition("\ncase ${1-} in\n  apply)")
    for was, now in (
        ("STATE=/var/lib/gestion/nginx", f"STATE={tmp_path}/state"),
        ("flock -w 60 9", "flock -w 1 9"),
    ):
        assert was in text
        text = text.replace(was, now)
    (tmp_path / "state").mkdir(mode=0o755)
    lock = tmp_path / "state/lock"
    lock.touch(0o644)
    with holding_lock(lock) as number:
        argv = ["sh", "-c", f"{text}\nchoose_among"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"process {number}" in done.stderr
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
