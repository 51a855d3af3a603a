"""backup-run reads what the panel writes: its own parser, run by sh on this machine."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backups.configs import FOLDER
from backups.runner import work_text

SCRIPT = (FOLDER / "backup-run.sh").read_text()
PARSER = SCRIPT[SCRIPT.index("SPEC='") : SCRIPT.index("\nfinish() {")]
NAMES = ("destination", "uuid", "levels", "accept")
LOOK = SCRIPT[SCRIPT.index("PLACE='") : SCRIPT.index("newline='")]
values = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=30)


@settings(max_examples=60, deadline=None)
@example(["a=b", " \t x ", "$(touch hit) `id` '\"\\", "-n"])
@example(["uuid=1", "\u2028kind=verify", "\\c\\0101", ""])
@given(st.lists(values, min_size=4, max_size=4))
def test_the_runner_reads_each_value_as_it_was_written(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("run")
    (folder / "spec").write_bytes(work_text(dict(zip(NAMES, told, strict=True))))
    show = "".join(f'printf "%s\\0" "$w_{name}"; ' for name in (*NAMES, "kind"))
    done = subprocess.run(
        ["sh", "-c", f"dir={folder}\n{PARSER}\nread_spec; {show}"],
        capture_output=True,
        check=True,
        cwd=folder,
    )
    assert done.stdout.decode().split("\0")[:-1] == [*told, ""]
    assert [one.name for one in folder.iterdir()] == ["spec"]


@pytest.mark.parametrize("end", ["\n", "\r", "\0"])
def test_a_value_that_would_be_two_lines_is_not_handed_over(end):
    with pytest.raises(ValueError, match="more than one line"):
        work_text({"destination": f"/b{end}kind=verify"})


@pytest.mark.parametrize(
    ("entry", "asked", "unmounted"),
    [
        ("{0}/my\\040disk", "{0}/my disk/web1", "{0}/my disk"),
        ("{0}/plain", "{0}/plain/web1", "{0}/plain"),
        ("{0}/a\\011b", "{0}/a\tb/c", "{0}/a\tb"),
        ("{0}/a\\134b", "{0}/other", ""),
    ],
)
def test_a_disk_whose_folder_has_a_space_is_missed_when_it_is_not_mounted(
    tmp_path: Path, entry, asked, unmounted
):
    fstab = tmp_path / "fstab"
    fstab.write_text(f"# disks\n/dev/sdb1 {entry.format(tmp_path)} ext4 defaults 0 2\n")
    (tmp_path / "my disk").mkdir()
    script = re.sub(r"/etc/fstab", str(fstab), LOOK) + 'printf "%s\\n" "$1" | sh -c "$PLACE"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", asked.format(tmp_path)], capture_output=True, text=True, check=True
    )
    told = dict(line.partition("=")[::2] for line in done.stdout.split("\n"))
    assert told["seen"] == "yes"
    assert told.get("unmounted", "") == unmounted.format(tmp_path)


@pytest.mark.parametrize("destination", ["/backups/web1", "/backups/.sync/web1", "/b/.sync/.sync"])
def test_the_half_done_copy_is_looked_for_beside_the_new_one(destination):
    (line,) = [line for line in SCRIPT.split("\n") if line.strip().startswith("before=${to")]
    done = subprocess.run(
        ["sh", "-c", f'to=$1\n{line}\nprintf %s "$before"', "sh", f"{destination}/.sync/data/"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{destination}/.before/data/"
