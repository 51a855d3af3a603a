"""Scripts are found with what they want; a broken file breaks only itself."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings as django_settings

from fabrun.catalogue import catalogue


def test_tasks_are_found_with_their_words_markers_and_arguments(folder):
    found = catalogue()
    assert sorted(found.scripts) == ["greet.hello", "greet.user_only"]
    hello = found.scripts["greet.hello"]
    assert hello.doc == "Say hello. \n\nMore words."
    assert hello.markers == ("NeedGestion",)
    assert [(item.name, item.kind, item.default, item.required) for item in hello.parameters] == [
        ("name", "str", None, True),
        ("times", "int", 1, False),
        ("loud", "bool", False, False),
    ]
    assert found.scripts["greet.user_only"].markers == ("NeedUser", "NeedKM")


def test_a_file_that_cannot_be_read_breaks_only_itself_and_says_where(folder):
    (folder / "broken.py").write_text("import os\nfrom nowhere import x\n")
    (folder / "wrong.py").write_text("def x(:\n")
    (folder / "ends.py").write_text("raise SystemExit(3)\n")
    found = catalogue()
    assert sorted(found.scripts) == ["greet.hello", "greet.user_only"]
    assert found.broken["broken.py"] == "broken.py, line 2: ModuleNotFoundError: No module named 'nowhere'"
    assert found.broken["wrong.py"].startswith("wrong.py, line 1: SyntaxError")
    assert found.broken["ends.py"] == "ends.py, line 1: SystemExit: 3"


def test_a_file_that_ends_the_process_is_told_as_such(folder):
    (folder / "ends.py").write_text("import os\nos._exit(0)\n")
    found = catalogue()
    assert not found.scripts
    assert str(folder) in found.broken


def test_new_and_changed_scripts_appear_by_themselves(folder):
    assert "more.again" not in catalogue().scripts
    (folder / "more.py").write_text("from fabric import task\n\n\n@task\ndef again(c):\n    pass\n")
    assert "more.again" in catalogue().scripts
    (folder / "more.py").write_text("from fabric import task\n\n\n@task\ndef twice(c):\n    pass\n")
    assert "more.twice" in catalogue().scripts
    assert "more.again" not in catalogue().scripts


def test_a_script_sees_none_of_the_panels_secrets(folder, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    (folder / "nosy.py").write_text("import os\nraise RuntimeError(dict(os.environ))\n")
    assert "do-not-tell" not in catalogue().broken["nosy.py"]


def test_an_empty_or_missing_folder_has_no_scripts(settings, tmp_path):
    settings.FABRIC_FOLDER = str(tmp_path / "nowhere")
    assert not catalogue().scripts
    assert not catalogue().broken


def test_our_own_scripts_run_with_plain_fab_too():
    fab = Path(sys.executable).with_name("fab")
    done = subprocess.run(
        [fab, "--list"],
        cwd=Path(django_settings.BASE_DIR) / "fabfiles",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("setup", "copy_key_manager", "execute_key_manager", "copy_user_config"):
        assert f"server.{name}" in done.stdout


def test_our_own_scripts_are_those_of_the_seed():
    found = catalogue().scripts
    assert found["server.setup"].markers == ("NeedGestion", "NeedKM")
    assert found["server.copy_key_manager"].markers == ("NeedKM",)
    assert found["server.execute_key_manager"].markers == ("NeedKM",)
    assert found["server.copy_user_config"].markers == ("NeedUser",)
