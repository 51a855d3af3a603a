"""From changed paths to tests, in a small repository of its own, by the real git."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.touched import base_of, changed_paths, choose

FILES = {
    "hosts/changes.py": "",
    "hosts/engine.py": "from . import changes\n",
    "servers/models.py": "",
    "servers/configs/motd.j2": "hello\n",
    "templates/servers/list.html": "<p>\n",
    "static/panel.css": "p {}\n",
    "docs/lab.md": "# The lab\n",
    "README.md": "# Read\n",
    "tests/__init__.py": "",
    "tests/conftest.py": "",
    "tests/services.py": "",
    "tests/waiting.py": "",
    "tests/hosts/conftest.py": "",
    "tests/hosts/test_changes.py": "from hosts import changes\n",
    "tests/hosts/test_engine.py": "import hosts.engine\n",
    "tests/servers/__init__.py": "",
    "tests/servers/fleet.py": "from servers.models import Server\n",
    "tests/servers/test_pages.py": "",
    "tests/servers/test_rules.py": "def test_it():\n    from hosts.changes import Change\n",
    "tests/jobs/test_worker.py": "from tests.servers.fleet import made\n",
    "tests/jobs/test_waits.py": "from ..waiting import wait_for\n",
    "tests/deploy/test_growing.py": "from hosts.changes import Change\nfrom .growing import grown\n",
    "tests/deploy/growing.py": "from tests.services import postgres\n",
    "tests/pages/test_icons.py": "",
    "tests/pages/test_docs.py": 'TEXT = (ROOT / "docs/lab.md").read_text()\nMORE = ROOT / "docs" / "lab.md"\n',
    "tests/golden/nat/small/nat-vz": "rules\n",
    "tests/forwarding/test_desired.py": 'GOLDEN = HERE / "golden" / "nat"\n',
}


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """A function that runs git in a repository with FILES committed on main."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*words: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("init", "-q", "-b", "main")
    run("add", ".")
    run("commit", "-q", "-m", "all")
    return run


def ran(root: Path, *paths: str) -> list[str]:
    """What runs when these paths changed, without the folder tests/."""
    return [file.removeprefix("tests/") for file in choose(root, paths).run]


def test_what_changed_is_committed_on_the_branch_staged_unstaged_untracked_deleted_and_moved(tmp_path, git):
    git("switch", "-q", "-c", "work")
    (tmp_path / "hosts/changes.py").write_text("committed = 1\n")
    git("commit", "-q", "-a", "-m", "one")
    git("mv", "README.md", "READ.md")
    (tmp_path / "servers/models.py").write_text("staged = 1\n")
    git("add", "servers/models.py")
    (tmp_path / "static/panel.css").write_text("unstaged {}\n")
    (tmp_path / "tests/waiting.py").unlink()
    (tmp_path / "a name with ü.py").write_text("untracked = 1\n")
    assert changed_paths(tmp_path, base_of(tmp_path)[0]) == sorted([
        "README.md", "READ.md", "a name with ü.py", "hosts/changes.py", "servers/models.py", "static/panel.css",
        "tests/waiting.py",
    ])  # fmt: skip


def test_what_was_staged_and_then_taken_back_in_the_folder_alone_counts(tmp_path, git):
    (tmp_path / "hosts/changes.py").write_text("staged = 1\n")
    git("add", ".")
    (tmp_path / "hosts/changes.py").write_text("")
    assert changed_paths(tmp_path, base_of(tmp_path)[0]) == ["hosts/changes.py"]


def test_what_others_changed_on_main_meanwhile_does_not_count(tmp_path, git):
    git("switch", "-q", "-c", "work")
    git("switch", "-q", "main")
    (tmp_path / "servers/models.py").write_text("theirs = 1\n")
    git("commit", "-q", "-a", "-m", "theirs")
    git("switch", "-q", "work")
    (tmp_path / "hosts/changes.py").write_text("ours = 1\n")
    base, how = base_of(tmp_path)
    assert (changed_paths(tmp_path, base), how) == (["hosts/changes.py"], "where the branch left main")


def test_the_upstream_is_compared_with_where_there_is_one(tmp_path, git):
    first = git("rev-parse", "HEAD")
    git("switch", "-q", "-c", "work")
    git("branch", "-q", "theirs")
    git("branch", "-q", "--set-upstream-to", "theirs")
    (tmp_path / "hosts/changes.py").write_text("ours = 1\n")
    git("commit", "-q", "-a", "-m", "ours")
    git("branch", "-q", "-f", "main")
    assert base_of(tmp_path) == (first, "where the branch left @{upstream}")


def test_without_a_main_it_is_the_last_commit(tmp_path, git):
    git("branch", "-q", "-m", "trunk")
    assert base_of(tmp_path) == (git("rev-parse", "HEAD"), "the last commit")


def test_a_changed_module_first_runs_what_imports_it_then_its_room_then_others(tmp_path, git):
    choice = choose(tmp_path, ["hosts/changes.py"])
    assert choice.run == {
        "tests/hosts/test_changes.py": "imports hosts.changes",
        "tests/hosts/test_engine.py": "its room has hosts/changes.py",
        "tests/servers/test_rules.py": "imports hosts.changes",
    }
    assert choice.left_out == {"tests/deploy/test_growing.py": "starts PostgreSQL and Redis"}
    assert choice.unknown == []


def test_a_changed_test_runs_first_and_alone(tmp_path, git):
    assert ran(tmp_path, "tests/servers/test_pages.py") == ["servers/test_pages.py"]
    both = ran(tmp_path, "hosts/changes.py", "tests/servers/test_rules.py")
    assert both == ["servers/test_rules.py", "hosts/test_changes.py", "hosts/test_engine.py"]


def test_a_deleted_test_runs_nothing_and_a_deleted_module_what_still_imports_it(tmp_path, git):
    (tmp_path / "tests/hosts/test_engine.py").unlink()
    (tmp_path / "hosts/changes.py").unlink()
    paths = changed_paths(tmp_path, base_of(tmp_path)[0])
    assert ran(tmp_path, *paths) == ["hosts/test_changes.py", "servers/test_rules.py"]


def test_through_what_tests_share_imports_are_followed(tmp_path, git):
    assert ran(tmp_path, "servers/models.py") == [
        "servers/test_pages.py", "servers/test_rules.py", "jobs/test_worker.py",
    ]  # fmt: skip


def test_what_tests_share_runs_its_room_and_whoever_imports_it(tmp_path, git):
    assert ran(tmp_path, "tests/servers/fleet.py") == [
        "servers/test_pages.py", "servers/test_rules.py", "jobs/test_worker.py",
    ]  # fmt: skip
    assert ran(tmp_path, "tests/waiting.py") == ["jobs/test_waits.py"]


def test_a_conftest_runs_all_tests_below_it(tmp_path, git):
    assert ran(tmp_path, "tests/hosts/conftest.py") == ["hosts/test_changes.py", "hosts/test_engine.py"]
    everything = {path for path in FILES if "/test_" in path} - {"tests/deploy/test_growing.py"}
    assert {f"tests/{path}" for path in ran(tmp_path, "tests/conftest.py")} == everything


@pytest.mark.parametrize("path", ["servers/configs/motd.j2", "templates/servers/list.html"])
def test_a_rooms_templates_run_its_tests(tmp_path, git, path):
    assert ran(tmp_path, path) == ["servers/test_pages.py", "servers/test_rules.py"]


def test_styles_run_the_tests_of_pages(tmp_path, git):
    assert ran(tmp_path, "static/panel.css") == ["pages/test_docs.py", "pages/test_icons.py"]


def test_a_text_runs_the_tests_that_read_it(tmp_path, git):
    assert choose(tmp_path, ["docs/lab.md"]).run == {"tests/pages/test_docs.py": "reads docs/lab.md"}


def test_a_golden_file_runs_the_tests_of_its_kind(tmp_path, git):
    assert ran(tmp_path, "tests/golden/nat/small/nat-vz") == ["forwarding/test_desired.py"]


def test_what_no_test_knows_is_told(tmp_path, git):
    choice = choose(tmp_path, ["README.md", "docs/new.md"])
    assert (choice.run, choice.unknown) == ({}, ["README.md", "docs/new.md"])


def test_where_durations_are_kept_the_quickest_of_each_kind_come_first(tmp_path, git):
    (tmp_path / "tests/durations.json").write_text('{"tests/servers/test_pages.py": 9}')
    assert ran(tmp_path, "servers/configs/motd.j2") == ["servers/test_rules.py", "servers/test_pages.py"]
