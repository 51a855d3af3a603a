"""Scripts of Fabric 1 and Python 2 are told line by line what to change; others are told nothing."""

from pathlib import Path

import pytest

from fabrun.catalogue import catalogue
from fabrun.older import advice

ROOT = Path(__file__).parents[2]
IMPORTS = "from fabric.api import *\nfrom fabric.contrib.files import *\n"


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ('run("x")', "run(…)", "“c.run(…)”"),
        ('    out = sudo("x", user="www")', "sudo(…)", "“c.sudo(…)”"),
        ('local("x", capture=True)', "local(…)", "“c.local(…)”"),
        ('put("a", "b")', "put(…)", "“c.put(…)”"),
        ('get("a")', "get(…)", "“c.get(…)”"),
        ('with cd("/srv"):', "cd(…)", "“c.cd(…)”"),
        ("with settings(warn_only=True):", "settings(…)", "warn=True"),
        ('with hide("everything"):', "hide(…)", "hide=True"),
        ('env.hosts = ["a"]', "env.hosts", "the servers are chosen when it is run"),
        ("print(env.host_string)", "env.host_string", "“c.host”"),
        ("env.branch = 1", "env.branch", "“c.config.branch”"),
        ("env['branch']", "env[…]", "c.config"),
        ("execute(deploy)", "execute(…)", "a call: NAME(c)"),
        ('if exists("/x"):', "exists(…)", 'c.run("test -e …", warn=True).ok'),
        ('abort("no")', "abort(…)", "raise SystemExit"),
        ('@roles("web")', "@roles", "nothing: the servers are chosen"),
        ('print "x"', "print …", "“print(…)”"),
        ('if x: print "x"', "print …", "“print(…)”"),
        ("print", "print …", "“print(…)”"),
        ("print >>f, 1", "print …", "“print(…)”"),
        ("except IOError, e:", "except …, e", "“except … as e”"),
        ("except (IOError, OSError), e:", "except …, e", "“except … as e”"),
        ('raise ValueError, "x"', "raise ERROR, …", "“raise ERROR(…)”"),
        ("chmod(x, 0755)", "0755", "“0o755”"),
        ("if a <> b:", "<>", "“!=”"),
        ('raw_input("sure?")', "raw_input(…)", "an argument of the task"),
        ("d.has_key(1)", ".has_key(…)", "“in”"),
    ],
)
def test_each_thing_is_told_with_its_line_and_what_it_becomes(line, old, new):
    told = [words for words in advice(f"{IMPORTS}{line}\n", "old.py") if words.startswith("old.py, line 3:")]
    assert len(told) == 1
    assert f"“{old}” becomes" in told[0]
    assert new in told[0].partition(" becomes ")[2]


@pytest.mark.parametrize(
    "line",
    [
        '"""run("x") and sudo("x")"""',
        '# run("x")',
        'self.run("x")',
        "c.run('x')",
        "def run(x):",
        "run = 3",
        'print("x")',
        'print("a", file=f)',
        "except (IOError, OSError) as e:",
        "except (IOError, OSError):",
        "0o755 + 0",
        "raise ValueError(1, 2)",
        "hosts = roles",
    ],
)
def test_what_is_none_of_it_is_not_told(line):
    assert not [
        words for words in advice(f"{IMPORTS}{line}\n", "old.py") if words.startswith("old.py, line 3:")
    ]


@pytest.mark.parametrize(
    "head",
    [
        "from fabric.api import run",
        "from fabric.api import (env,\n    run)",
        "from fabric.api import env, \\\n    run",
        "from __future__ import with_statement\nfrom fabric.operations import run\r",
        "    from fabric.api import run  # late",
    ],
)
def test_however_it_is_imported(head):
    told = advice(f"{head}\n\n\ndef x():\n    run('x')\n", "old.py")
    assert "“from fabric import task”" in told[0]
    assert "“c.run(…)”" in told[-1]


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("from fabric.api import run as r", "r(1)"),
        ("from fabric import api", "api.run(1)"),
        ("import fabric.api as fab", "fab.run(1)"),
    ],
)
def test_under_whatever_name(head, call):
    assert advice(f"{head}\n{call}\n", "old.py")[-1].endswith("becomes “c.run(…)”")


def test_a_task_takes_the_connection():
    head = "from fabric.api import task\n@task\n"
    assert (
        advice(f"{head}def x():\n    pass\n", "old.py")[-1] == "old.py, line 3: “def x()” becomes “def x(c)”"
    )
    told = advice(f"{head}def x(branch='a'):\n    pass\n", "old.py")
    assert told[-1] == "old.py, line 3: “def x(…)” becomes “def x(c, …)”"
    assert len(advice(f"{head}def x(c):\n    pass\n", "old.py")) == 1


def test_no_script_of_ours_is_told_anything():
    for path in (*ROOT.glob("fabfiles/*.py"), *ROOT.glob("fabrun/*.py"), *ROOT.glob("hosts/*.py")):
        assert advice(path.read_text(), path.name) == [], path


@pytest.mark.parametrize(
    "text", ["", "\x00", "(" * 500, "from fabric.api import", "@task", "'''", "\tx\n  y", "`x`", "é" * 9]
)
def test_whatever_a_file_holds_there_is_an_answer(text):
    assert isinstance(advice(IMPORTS + text, "old.py"), list)
    assert isinstance(advice(text, "old.py"), list)


def test_the_catalogue_says_it_instead_of_an_import_that_failed(folder):
    (folder / "deploy.py").write_text('from fabric.api import run\n\n\ndef deploy():\n    run("git pull")\n')
    (folder / "fabfile.py").write_text('from fabric.api import env\nenv.hosts = ["a"]\n')
    (folder / "two.py").write_text('print "x"\n')
    found = catalogue()
    assert found.broken["deploy.py"].splitlines() == [
        "deploy.py is written for Fabric 1 or Python 2. To change:",
        "deploy.py, line 1: “from fabric.api import run” becomes “from fabric import task”",
        "deploy.py, line 5: “run(…)” becomes “c.run(…)”",
    ]
    assert "fabfile.py, line 2: “env.hosts” becomes nothing" in found.broken["fabfile.py"]
    assert "two.py, line 1: “print …” becomes “print(…)”" in found.broken["two.py"]
    assert "greet.hello" in found.scripts
