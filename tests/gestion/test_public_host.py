"""What a public Git host runs: the same proof as here, by actions that cannot change; nothing is allowed in vain."""

import re
import tomllib

import pytest

from tests.named import ROOT

WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text()
ALLOWED = tomllib.loads((ROOT / ".gitleaks.toml").read_text())["allowlist"]["regexes"]


def test_it_runs_the_same_proof():
    assert re.search(r"^ +\.ci/run'?$", WORKFLOW, re.MULTILINE)


def test_every_action_is_one_commit_and_says_which_version_that_is():
    used = re.findall(r"uses: (.*)", WORKFLOW)
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_no_job_may_do_more_than_read():
    assert re.search(r"^permissions: \{\}$", WORKFLOW, re.MULTILINE)
    assert set(re.findall(r"^    permissions:\n((?:      .*\n)+)", WORKFLOW, re.MULTILINE)) == {
        "      contents: read\n"
    }
    assert len(re.findall(r"contents: read", WORKFLOW)) == len(re.findall(r"runs-on:", WORKFLOW))


@pytest.mark.parametrize("regex", ALLOWED)
def test_what_is_allowed_is_there(regex):
    """An entry that nothing needs any more would hide a secret one day."""
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("deploy/**/*.py")]
    assert any(re.search(regex, file.read_text()) for file in files)


def test_before_a_commit_the_ruff_of_make_check_runs():
    hooks = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    check = re.findall(r"\$\(BIN\)/(ruff .*) \.\n", (ROOT / "Makefile").read_text().partition("\ncheck:")[2])
    assert hooks == [f".venv/bin/{command} --force-exclude" for command in check[:2]]
