"""What a unix user is given of root's when a script of ours writes a file for them."""

import os
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attackers import needs_root
from tests.panel import ROOT
from tests.waiting import PATIENCE_SECONDS

# The scripts are no package: Fabric loads them from their folder.
as_user = runpy.run_path(str(ROOT / "fabfiles/server.py"))["as_user"]


@pytest.fixture
def seen() -> Iterator[Path]:
    """A file that the user nobody may write, in a folder that anybody may enter."""
    needs_root()
    place = Path(f"/run/gestion-test-seen-{os.getpid()}")  # another run may be on this machine
    place.write_text("")
    place.chmod(0o666)
    yield place
    place.unlink()


def test_nothing_of_roots_but_standard_input_survives_the_change_of_user(seen: Path, tmp_path: Path):
    command = f"exec >{seen}; id -un; pwd; env; cat; ls -l /proc/self/fd"
    done = subprocess.run(
        ["sh", "-c", f"{{ {as_user('nobody', command)}; }}"],
        input=b"settings\n", env={**os.environ, "SECRET": "of root"}, cwd=tmp_path, capture_output=True, timeout=30,
        check=True,
    )  # fmt: skip
    name, folder, *rest = seen.read_text().splitlines()
    assert (name, folder, done.stdout, done.stderr) == ("nobody", "/", b"", b"")
    assert "settings" in rest
    assert "of root" not in seen.read_text()
    descriptors = {line.split()[-3]: line.split()[-1] for line in rest if " -> " in line}
    assert descriptors.pop("0").startswith("pipe:")
    assert descriptors.pop("2") == "/dev/null"
    assert {path for path in descriptors.values() if "/proc/" not in path} == {str(seen)}


def test_a_user_who_stops_the_process_or_keeps_what_it_had_does_not_hold_the_script(seen: Path):
    for command in ("kill -STOP $$", "setsid sleep 120 & exit 0"):
        words = as_user("nobody", command).replace("-k 5 30", "-k 1 1")
        # No end of it would be an error; a machine that is busy takes its time for each of the shells.
        subprocess.run(["sh", "-c", words], capture_output=True, timeout=PATIENCE_SECONDS, check=False)
