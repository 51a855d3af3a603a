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
        ('local("x")', "local(…)", "“c.local(…)”"),
        ('x = run("x")', "run(…)", "“c.run(…)”, and what it printed is “.stdout.strip()”"),
        ("if x.succeeded:", ".succeeded", "“.ok”"),
        ("with remote_tunnel(80):", "remote_tunnel(…)", "“c.forward_remote(…)”"),
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
        ("print >>f, 1", "print …", "“print(…, file=…)”"),
        ('print "x",', "print …", '“print(…, end=" ")”'),
        ("except IOError, e:", "except …, e", "“except … as e”"),
        ("except (IOError, OSError), e:", "except …, e", "“except … as e”"),
        ('raise ValueError, "x"', "raise ERROR, …", "“raise ERROR(…)”"),
        ("chmod(x, 0755)", "0755", "“0o755”"),
        ("if a <> b:", "<>", "“!=”"),
        ('raw_input("sure?")', "raw_input(…)", "an argument of the task"),
        ("d.has_key(1)", ".has_key(…)", "“in”"),
        ("import urllib2", "import urllib2", "“import urllib.request”"),
        ("import os, urllib2 as u", "import urllib2 as u", "“import urllib.request as u”"),
        ("import ConfigParser", "import ConfigParser", "“import configparser”"),
        ("import cPickle as pickle", "import cPickle as pickle", "“import pickle”"),
        ("import Queue", "import Queue", "“import queue”"),
        ("import commands", "import commands", "“import subprocess”"),
        ("import sets", "import sets", "nothing: leave it out"),
        ("from StringIO import StringIO", "from StringIO import StringIO", "“from io import StringIO”"),
        (
            "from urllib2 import urlopen, URLError as E",
            "from urllib2 import urlopen, URLError as E",
            "“from urllib.request import urlopen” and “from urllib.error import URLError as E”",
        ),
        ("from urllib import quote", "from urllib import quote", "“from urllib.parse import quote”"),
        ("from itertools import izip", "from itertools import izip", "nothing: “zip” needs no import"),
        ("from md5 import new", "from md5 import new", "“from hashlib import md5 as new”"),
        ('exec "x = 1"', "exec …", "“exec(…)”"),
        ("exec code in d", "exec …", "“exec(…)”"),
        ('exec("x") in d', "exec(…) in …", "“exec(…, …)”"),
        ("x = `y`", "`…`", "“repr(…)”"),
        ("x = 10L", "10L", "“10”"),
        ("x = 0xFFL", "0xFFL", "“0xFF”"),
        ("x = 0777L", "0777L", "“0o777”"),
        ('x = ur"a"', 'ur"…"', '“r"…"”'),
        ("isinstance(x, (int, long))", "long", "“int”"),
        ("isinstance(x, basestring)", "basestring", "“str”"),
        ('raise "no"', 'raise "…"', "“raise Exception(…)”"),
        ("except IOError, (number, words):", "except …, (number, words)", "“except … as number”"),
        ("f = lambda (a, b): a", "lambda (…): …", "“lambda x: …” with x[0]"),
        ("x.sort(cmp=f)", "cmp=…", "“key=functools.cmp_to_key(…)”"),
        ("line = lines.next()", ".next(…)", "“next(…)”"),
    ],
)
def test_each_thing_is_told_with_its_line_and_what_it_becomes(line, old, new):
    told = [words for words in advice(f"{IMPORTS}{line}\n", "old.py") if words.startswith("old.py, line 3:")]
    assert len(told) == 1, told
    assert f"“{old}” becomes" in told[0]
    assert new in told[0].partition(" becomes ")[2]


@pytest.mark.parametrize(
    "line",
    [
        '"""run("x") and sudo("x")"""',
        '# run("x")',
        'self.run("x")',
        "c.run('x')",
        "class X:\n    def run(x): pass",
        "def _run(x): pass",
        "def run(c, x): pass",
        "run = 3",
        'print("x")',
        'print("a", file=f)',
        "except (IOError, OSError) as e:",
        "except (IOError, OSError):",
        "0o755 + 0",
        "raise ValueError(1, 2)",
        "hosts = roles",
        "import json, urllib.request",
        "try:\n    import urllib2\nexcept ImportError:\n    import urllib.request as urllib2",
        "from six.moves import xrange; xrange(3)",
        "class X:\n    def reduce(x): pass\n    reduce(1)",
        'exec("x")',
        "x = 10 + 0xFF",
        'r"ur" + u"x"',
        "it.next(3)",
        "unicode = str",
        "a.commands.getoutput()",
    ],
)
def test_what_is_none_of_it_is_not_told(line):
    assert advice(f"{IMPORTS}{line}\n", "old.py") == advice(IMPORTS, "old.py")


@pytest.mark.parametrize(
    "text",
    [
        "from urllib.parse import quote, urlencode\nfrom urllib.request import urlopen",
        "from os.path import join\nimport urllib.parse as urllib\nurllib.quote(1)",
        "if sys.version_info[0] < 3:\n    text = unicode\n    import urllib2\nelse:\n    text = str",
        "text = unicode if PY2 else str\nPY2 and isinstance(1, long)",
        "try:\n    text = unicode('a')\nexcept NameError:\n    text = str",
        "six.iteritems(d)\nsix.itervalues(d)",
        "def f(file, cmp=None, unicode=False, reload=1):\n    cmp(1, 2)\n    reload()\n    file(unicode)",
        "for file, long in xs:\n    print(file, long)",
        "lat, long = here\nprint(long)",
        "class A:\n    long: float\n    def next(self):\n        return self.long\nA().next()",
        "from a import (\n    long,\n    reduce,\n)\nreduce(long)",
        "@attr.s(cmp=False)\nclass A: pass",
        "out = print if loud else str\nways = {\n  'say': print\n}",
        'x = """\nfrom fabric.api import run\nprint "x"\nimport fabric.api\n"""\nrun(1)',
        'x = f"""\nfrom fabric.contrib.files import exists {1}\nexists(1)"""',
        "try:\n    from fabric.api import task\nexcept ImportError:\n    from fabric import task",
        "from fabric import Connection, task\nfrom fabric.tasks import Task\nfrom invoke import run\nrun(1)",
        "from patchwork.files import exists, append\n@task\ndef x(c):\n    exists(c, '/x')",
    ],
)
def test_a_script_of_today_is_told_nothing(text):
    compile(text, "new.py", "exec")
    assert advice(f"{text}\n", "new.py") == []


@pytest.mark.parametrize(
    ("line", "old"),
    [
        ("print >> f, 1", "print …"),
        ('print ("%s") % 1', "print …"),
        ("print", "print …"),
        ("xs.sort(key=1, cmp=f(2))", "cmp=…"),
        ("sorted(xs, cmp=lambda a, b: 1)", "cmp=…"),
        ("d.has_key(1)", ".has_key(…)"),
    ],
)
def test_what_python_3_reads_as_something_else_is_told(line, old):
    compile(line, "old.py", "exec")
    assert [f"“{old}” becomes" in words for words in advice(f"{line}\n", "old.py")] == [True]


def test_a_fabfile_of_today_is_not_called_old(folder):
    (folder / "fabfile.py").write_text("from urllib.parse import quote\nfrom fabric import task\n")
    (folder / "commands").mkdir()
    (folder / "uses.py").write_text("from commands import go\nfrom urllib.parse import quote\n")
    found = catalogue()
    assert "fabfile.py" not in found.broken
    assert found.broken["uses.py"].startswith("uses.py, line 1: ImportError")


@pytest.mark.parametrize(
    ("call", "old", "new"),
    [
        ('run("x", warn_only=True)', "warn_only=…", "“warn=…”"),
        ('run("x",\n  quiet=True)', "quiet=…", "“hide=True, warn=True”"),
        ('sudo(f(1, shell=2), shell=False, user="www")', "shell=…", "nothing: leave it out"),
        ('local("x", capture=True)', "capture=…", "“hide=True”"),
        ('run("x", stdout=f, timeout=3, pty=True)', "stdout=…", "“out_stream=…”"),
        ('put("a", "b", use_sudo=True)', "use_sudo=…", 'c.sudo("mv …") of what was put'),
        ('get(remote_path="a")', "remote_path=…", "“remote=…”"),
        ('@task(alias="d", default=True)\ndef x(c): pass', "alias=…", "“aliases=[…]”"),
    ],
)
def test_what_a_call_is_given_by_a_name_that_is_gone_is_told(call, old, new):
    told = [words.partition(": ")[2] for words in advice(f"{IMPORTS}{call}\n", "old.py")[2:]]
    assert [words for words in told if "=…" in words] == [f"“{old}” becomes {new}"]


def test_a_task_that_is_a_class_and_errors_that_are_gone_are_told():
    head = "from fabric.api import task\nfrom fabric.tasks import Task\n"
    (told,) = advice(f"{head}class Deploy(Task):\n    pass\n", "old.py")[1:]
    assert told.startswith("old.py, line 3: “class Deploy(Task)” becomes a function")
    assert not advice("from fabric.tasks import Task\nclass Mine(Task):\n    pass\n", "new.py")
    told, more = advice("from fabric.exceptions import NetworkError, CommandTimeout as Late\n", "old.py")
    assert "import CommandTimeout” becomes “from invoke import CommandTimedOut”" in told
    assert "import NetworkError” becomes nothing" in more
    assert not advice("from fabric.exceptions import GroupException\n", "new.py")


def test_a_task_under_its_whole_name_is_one_already():
    told = advice("import fabric.api\n@fabric.api.task\ndef x():\n    pass\n", "old.py")[1:]
    assert told == ["old.py, line 3: “def x()” becomes “def x(c)”"]


def test_a_word_that_scripts_use_for_much_else_is_told_where_it_is_imported_by_name():
    use = "output['running'] = False\nfirst(1)\n"
    assert len(advice(f"from fabric.api import *\n{use}", "old.py")) == 1
    told = advice(f"from fabric.state import output\nfrom fabric.contrib.files import first\n{use}", "old.py")
    assert [words.partition("“")[2].partition("”")[0] for words in told[2:]] == ["output[…", "first(…"]


@pytest.mark.parametrize(
    "head",
    [
        "from fabric.api import run",
        "from fabric.api import(run)",
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
    assert "“@task” above it, and “def x(c)”" in told[-2]


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("from fabric.api import run as r", "r(1)"),
        ("from fabric import api", "api.run(1)"),
        ("import fabric.api as fab", "fab.run(1)"),
        ("import fabric.api", "fabric.api.run(1)"),
    ],
)
def test_under_whatever_name(head, call):
    assert advice(f"{head}\n{call}\n", "old.py")[-1].endswith("becomes “c.run(…)”")


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("from fabric.contrib import files", "files.exists('/x')"),
        ("from fabric.contrib import files as f", "f.exists('/x')"),
        ("from fabric import contrib", "contrib.files.exists('/x')"),
        ("import fabric.contrib.files", "fabric.contrib.files.exists('/x')"),
        ("from fabric.contrib.files import exists", "exists('/x')"),
    ],
)
def test_what_was_contributed_is_found_too(head, call):
    assert advice(f"{head}\n{call}\n", "old.py")[-1].endswith('becomes c.run("test -e …", warn=True).ok')


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("from fabric.colors import red, green", 'red("x")'),
        ("from fabric.colors import *", 'red("x")'),
        ("from fabric.colors import red as r", 'r("x")'),
        ("from fabric import colors", 'colors.red("x", bold=True)'),
    ],
)
def test_colours_are_told(head, call):
    assert advice(f"{head}\nprint({call})\n", "old.py")[-1].endswith("(…)” becomes its text alone")


def test_a_colour_of_ones_own_is_not_told():
    assert len(advice('from fabric.api import *\nprint(red("x"))\n', "old.py")) == 1


@pytest.mark.parametrize(
    ("head", "use", "new"),
    [
        ("import urllib2", "urllib2.urlopen(x)", "“urllib.request.urlopen”"),
        ("import urllib2", "except urllib2.HTTPError:", "“urllib.error.HTTPError”"),
        ("import urllib", "urllib.quote(x)", "“urllib.parse.quote”, with “import urllib.parse”"),
        ("import ConfigParser as cp", "cp.SafeConfigParser()", "“configparser.ConfigParser”"),
        ("import commands", "commands.getoutput(x)", "“subprocess.getoutput”"),
        ("import StringIO", "StringIO.StringIO()", "“io.StringIO”"),
        ("import string", "string.letters", "“string.ascii_letters”"),
        ("import os", "os.getcwdu()", "“os.getcwd”"),
        ("import sys", "sys.maxint", "“sys.maxsize”"),
        ("import itertools", "itertools.izip(x)", "“zip”"),
    ],
)
def test_each_use_of_a_module_that_is_gone_is_told(head, use, new):
    assert advice(f"{head}\n{use}\n", "old.py")[-1].endswith(f"becomes {new}")


def test_a_module_of_the_same_folder_is_none_of_python_2(folder):
    (folder / "commands.py").write_text("def go():\n    pass\n")
    (folder / "uses.py").write_text("import commands\ncommands.go()\n1/0\n")
    assert catalogue().broken["uses.py"] == "uses.py, line 3: ZeroDivisionError: division by zero"


def test_what_else_is_wrong_is_told_too(folder):
    (folder / "both.py").write_text("import nowhere\nprint(unichr(3))\n")
    told = catalogue().broken["both.py"].splitlines()
    assert told[1] == "both.py, line 2: “unichr(…)” becomes “chr(…)”"
    assert told[2] == "As it is: both.py, line 1: ModuleNotFoundError: No module named 'nowhere'"


def test_a_byte_order_mark_hides_nothing():
    assert "line 1" in advice("\ufefffrom fabric.api import run\n", "old.py")[0]


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
        "deploy.py, line 4: “def deploy()” becomes “@task” above it, and “def deploy(c)”",
        "deploy.py, line 5: “run(…)” becomes “c.run(…)”",
        "As it is: deploy.py, line 1: ModuleNotFoundError: No module named 'fabric.api'",
    ]
    assert "fabfile.py, line 2: “env.hosts” becomes nothing" in found.broken["fabfile.py"]
    assert "two.py, line 1: “print …” becomes “print(…)”" in found.broken["two.py"]
    assert "greet.hello" in found.scripts


def test_decorators_of_a_module_of_fabric_1_are_told():
    text = "import fabric.api as fab\n\n\n@fab.task\n@fab.hosts('a')\ndef go(c):\n    c.run('x')\n"
    found = advice(text, "x.py")
    assert "x.py, line 4: “@fab.task” becomes “@task”" in found
    assert any("line 5: “@fab.hosts” becomes nothing" in line for line in found)


def test_a_file_that_can_be_read_since_it_imports_fabric_1_within_its_functions_is_told(folder):
    (folder / "lazy.py").write_text("def deploy():\n    from fabric.api import run\n    run('x')\n")
    (folder / "helper.py").write_text("def words(text):\n    return text.split()\n")
    assert "lazy.py, line 2" in catalogue().broken["lazy.py"]
    assert list(catalogue().broken) == ["lazy.py"]
