"""The lock of gestion-nginx: root alone takes it, nobody waits for it for ever, and what was chosen is read with it."""

import subprocess
from pathlib import Path

from forwarding.configs import configured
from tests.attackers import holding_lock, needs_root

WAIT = "flock -w 60 9"


def script(place: Path, wait: str) -> str:
    """The host's own script but for its last part, which acts; its folders are in `place`, and so it waits."""
    text, _mark, _rest = configured("gestion-nginx.j2").partition("\ncase ${1-} in\n  apply)")
    for was, now in (
        ("FOLDER=/etc/nginx/gestion", f"FOLDER={place}/nginx"),
        ("STATE=/var/lib/gestion/nginx", f"STATE={place}/state"),
        (WAIT, wait),
    ):
        assert was in text
        text = text.replace(was, now)
    return text


def run(text: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60, check=False)


def test_somebody_who_holds_the_lock_is_named_and_not_waited_for(tmp_path: Path):
    needs_root()
    (tmp_path / "state").mkdir(mode=0o755)
    lock = tmp_path / "state/lock"
    lock.touch(0o644)
    with holding_lock(lock) as number:
        done = run(script(tmp_path, "flock -w 1 9") + "\nhold")
    assert done.returncode == 1
    assert f"process {number}" in done.stderr
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_what_a_rollout_chose_while_the_timer_waited_for_its_lock_is_still_served(tmp_path: Path):
    """Where one hostname was left out; the rollout brings another one, which the timer cannot have seen before."""
    sites, enabled = tmp_path / "nginx/sites", tmp_path / "nginx/enabled.conf"
    sites.mkdir(parents=True)
    (tmp_path / "state").mkdir()
    for number in (1, 2, 3):
        (sites / f"{number}.conf").touch()
    line = f"include {sites}/%d.conf;\n"
    enabled.write_text(line % 1)
    (tmp_path / "state/left-out").write_text("3 is broken\n")
    rollout = f"a_rollout() {{ echo '{(line % 2).strip()}' >>{enabled}; }}"
    here = "running() { :; }; taken() { :; }; nginx_takes() { :; }; load() { :; }"
    done = run("\n".join([script(tmp_path, "a_rollout"), rollout, here, "again"]))
    assert (done.returncode, done.stderr) == (0, "")
    assert enabled.read_text() == "".join(line % number for number in (1, 2, 3))
