"""Scripts are found with what they want; a broken file breaks only itself."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings as django_settings

import fabrun.catalogue
from fabrun.catalogue import catalogue, of_script


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


MORE_THAN_ITSELF = """
from pathlib import Path
from fabric import task
from invoke import call

@task
def dump(c): pass

@task(pre=[dump])
def deploy(c): pass

@task(dump)
def update(c): pass

@task(post=[call(dump)])
def clean(c): pass

@task(iterable=["names"])
def remove(c, names): pass
"""


def test_a_task_that_would_be_run_by_half_is_refused_alone_and_says_why(folder):
    (folder / "more.py").write_text(MORE_THAN_ITSELF)
    found = catalogue()
    assert sorted(found.scripts) == ["greet.hello", "greet.user_only", "more.dump"]
    refused = found.broken["more.py"].split("\n")
    assert [line.split()[1] for line in refused] == ["deploy", "update", "clean", "remove"]
    assert all("(pre=, post=), which do not run here" in line for line in refused[:3])
    assert "(iterable=)" in refused[3]


def test_what_no_form_can_ask_for_keeps_its_default(folder):
    words = "c, a, b=['x'], d=('y',), e={'z': 1}, f=None, g=Path('/srv'), *rest, h=1, **more"
    head = "from fabric import task\nfrom pathlib import Path\n@task\n"
    (folder / "lists.py").write_text(f"{head}def go({words}): pass\n")
    asked = catalogue().scripts["lists.go"].parameters
    assert [(item.name, item.kind, item.default) for item in asked] == [
        ("a", "str", None),
        ("f", "str", None),
        ("g", "str", "/srv"),
        ("h", "int", 1),
    ]


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_an_annotation_says_the_kind_also_beside_none_and_as_a_text(folder, head):
    words = (
        "c: Here, a: int, b: bool, d: int | None = None, e: t.Optional[float] = None, f: 'bool | None' = None"
    )
    here = "import typing as t\nfrom fabric import Connection as Here, task\n"
    if head:  # as type checkers have it: the name is not there when it runs
        here = "import typing as t\nfrom fabric import task\nif t.TYPE_CHECKING:\n    from x import Here\n"
    rest = "g: float = 1, h: list[int] | None = None, i: t.Union[int, str] = 1"
    (folder / "kinds.py").write_text(f"{head}{here}@task\ndef go({words}, {rest}): pass\n")
    asked = catalogue().scripts["kinds.go"].parameters
    kinds = {
        "a": "int",
        "b": "bool",
        "d": "int",
        "e": "float",
        "f": "bool",
        "g": "float",
        "h": "str",
        "i": "int",
    }
    assert {item.name: item.kind for item in asked} == kinds


TAKES_ALL = {
    "ends the process": ("import os\nos._exit(0)\n", "bad.py ends the process that reads it."),
    "ends it by a signal": (
        "import os\nos.kill(os.getpid(), 9)\n",
        "bad.py ends the process that reads it.",
    ),
    "loops": ("\nwhile True:\n    pass\n", "not read to its end within"),
    "waits": ("\nimport time\ntime.sleep(10**6)\n", "bad.py, line 3: not read to its end within"),
    "becomes another program": (
        "import os\nos.execvp('sleep', ['sleep', '1000'])\n",
        "bad.py ends the process that reads it.",
    ),
    "calls itself": ("def f():\n    f()\nf()\n", "bad.py, line 2: RecursionError"),
    "fills the memory": ("\nx = [bytes(10**9) for _ in range(10**6)]\n", "bad.py, line 2: MemoryError"),
    "asks": ("\ninput('sure?')\n", "bad.py, line 2: EOFError"),
    "asks the terminal": ("import getpass\ngetpass.getpass()\n", "bad.py, line 2: EOFError"),
    "closes all": ("import os\nos.closerange(0, 100)\n1/0\n", "bad.py ends the process that reads it."),
    "raises its own": ("class E(BaseException): pass\nraise E('no')\n", "bad.py, line 2: E: no"),
    "is a link to nowhere": (None, "bad.py: FileNotFoundError"),
    "has a name for nobody": ("", "bad.py: a file of this name cannot be imported"),
}


@pytest.mark.parametrize("kind", TAKES_ALL)
def test_a_file_that_would_take_all_takes_itself_alone(folder, monkeypatch, kind):
    monkeypatch.setattr(fabrun.catalogue, "SECONDS", 5.0)
    text, words = TAKES_ALL[kind]
    if text is None:
        (folder / "bad.py").symlink_to("nowhere")
    elif text:
        (folder / "bad.py").write_text(text)
    else:
        (folder / "bad-bad.py").write_text("")
    found = catalogue()
    assert sorted(found.scripts) == ["greet.hello", "greet.user_only"]
    (told,) = found.broken.values()
    assert words.replace("bad.py", "bad-bad.py" if text == "" else "bad.py") in told


STILL_READ = {
    "prints": "print('x' * 10**7)\n",
    "writes to the errors": "import sys\nsys.stderr.write('x' * 10**7)\n",
    "leaves a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n",
    "leaves a process": "import subprocess\nsubprocess.Popen(['sleep', '1000'])\n",
    "doubles itself": "import os\nos.fork()\n",
    "is called as a module of Python": "",
}


@pytest.mark.parametrize("kind", STILL_READ)
def test_what_a_file_does_besides_is_no_harm(folder, kind):
    name = "json" if kind.startswith("is called") else "odd"
    (folder / f"{name}.py").write_text(f"{STILL_READ[kind]}from fabric import task\n@task\ndef go(c): pass\n")
    found = catalogue()
    assert not found.broken
    assert sorted(found.scripts) == sorted(["greet.hello", "greet.user_only", f"{name}.go"])


def test_several_that_never_end_hold_the_others_up_no_longer_than_one(folder, monkeypatch):
    monkeypatch.setattr(fabrun.catalogue, "SECONDS", 5.0)
    for name, body in (("a", "pass"), ("b", "time.sleep(0.01)"), ("c", "time.sleep(0.01)")):
        (folder / f"{name}.py").write_text(f"import time\nwhile True: {body}\n")
    began = time.monotonic()
    assert sorted(catalogue().broken) == ["a.py", "b.py", "c.py"]
    assert sorted(catalogue().scripts) == ["greet.hello", "greet.user_only"]
    assert time.monotonic() - began < 60


def test_the_file_of_a_run_is_read_alone(folder):
    (folder / "endless.py").write_text("while True: pass\n")
    assert sorted(of_script("greet.hello").scripts) == ["greet.hello", "greet.user_only"]
    assert not of_script("greet.hello").broken
    assert not of_script("nowhere.hello").scripts


def test_new_and_changed_scripts_appear_by_themselves(folder):
    assert "more.again" not in catalogue().scripts
    (folder / "more.py").write_text("from fabric import task\n\n\n@task\ndef again(c):\n    pass\n")
    assert "more.again" in catalogue().scripts
    (folder / "more.py").write_text("from fabric import task\n\n\n@task\ndef twice(c):\n    pass\n")
    assert "more.twice" in catalogue().scripts
    assert "more.again" not in catalogue().scripts


def test_a_change_of_what_a_script_imports_from_a_package_is_followed(folder):
    (folder / "common").mkdir()
    (folder / "common" / "names.py").write_text("name = (\n")
    (folder / "more.py").write_text(
        "from fabric import task\nfrom common.names import name\n@task\ndef go(c): pass\n"
    )
    assert "SyntaxError" in catalogue().broken["more.py"]
    (folder / "common" / "names.py").write_text("name = 1\n")
    assert "more.go" in catalogue().scripts


def test_what_could_not_be_read_for_a_while_is_tried_again(folder, monkeypatch):
    wanted = folder / "not_there_yet"
    (folder / "more.py").write_text(
        f"from fabric import task\nopen({str(wanted)!r})\n@task\ndef go(c): pass\n"
    )
    assert "No such file" in catalogue().broken["more.py"]
    wanted.touch()
    assert "more.py" in catalogue().broken
    monkeypatch.setattr(fabrun.catalogue, "AGAIN_SECONDS", 0.0)
    assert "more.go" in catalogue().scripts


def test_a_package_of_tasks_as_fabric_1_had_it_is_told(folder):
    (folder / "fabfile").mkdir()
    (folder / "fabfile" / "__init__.py").write_text("from fabric.api import run\n")
    assert "put them into the folder itself" in catalogue().broken["fabfile/"]


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
