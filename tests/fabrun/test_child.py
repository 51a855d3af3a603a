"""The process of a script: what its host prints cannot fill this machine's memory."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
from django.conf import settings
from invoke import Config, Context, FailingResponder

from fabrun import talking
from fabrun.catalogue import clean_environment
from tests.hosts.hostile import hostile

SCRIPT = '''
from pathlib import Path
from fabric import task

@task
def fill(c):
    """Holds more than a script may."""
    bytearray(2 * 1024**3)

@task
def ask(c):
    """Asks its host."""
    print(c.run("true", hide=True).stdout.strip()[-9:])

@task
def lie(c, here=Path("/srv"), there=Path("/var")):
    """Says where."""
    print(here / "a", there / "b")

@task
def end(c, how):
    """Ends as it is told."""
    import os, sys
    exec(how)
'''

ASKED = "It asked “%s”, and nobody answers: make that an argument of the task."


def run_script(name: str, target, tmp_path, **arguments: object) -> "subprocess.CompletedProcess[bytes]":
    (tmp_path / "some.py").write_text(SCRIPT)
    order = {
        "folder": str(tmp_path),
        "script": f"some.{name}",
        "arguments": arguments,
        "values": {},
        "server": "evil1",
    }
    return subprocess.run(
        [sys.executable, "-m", "fabrun.child"],
        input=json.dumps({**order, "target": asdict(target)}).encode(),
        cwd=settings.BASE_DIR,
        env=clean_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_place_is_given_as_its_default_is(tmp_path) -> None:
    with hostile(lambda _channel: None) as target:
        done = run_script("lie", target, tmp_path, here="/mnt", there="")
    assert done.stdout == b"/mnt/a /var/b\n", done.stderr


def test_a_script_that_takes_too_much_memory_fails_alone(tmp_path) -> None:
    with hostile(lambda _channel: None) as target:
        done = run_script("fill", target, tmp_path)
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr


@pytest.mark.parametrize(
    ("how", "code", "last"),
    [
        ("sys.exit(0)", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit(os.system('exit 1'))", 1, ""),  # 256
        ("sys.exit(256 + 7)", 7, ""),
        ("sys.exit('no disk')", 1, "no disk"),
        ("from invoke import Exit; raise Exit('no', code=512)", 1, "no"),
        ("from invoke import Exit; raise Exit('fine', code=0)", 0, "fine"),
        (
            "c.local('sleep 9', timeout=1, shell='/bin/sh')",
            1,
            "The command took longer than 1 seconds: sleep 9",
        ),
        ("raise ValueError('what went wrong\\nDETAIL: more')", 1, "ValueError: what went wrong"),
        ("raise ValueError('what went wrong')", 1, "ValueError: what went wrong"),
        ("raise ValueError", 1, "ValueError"),
        ("input('Really? ')", 1, f"EOFError: {ASKED % 'Really?'}"),
        ("import getpass; getpass.getpass('PIN:', stream=sys.stderr)", 1, f"EOFError: {ASKED % 'PIN:'}"),
        ("try: input()\nexcept EOFError: print('as if it were yes')", 0, ""),
    ],
)
def test_how_a_script_ends_is_how_its_run_ends_and_the_last_line_says_why(tmp_path, how, code, last) -> None:
    with hostile(lambda _channel: None) as target:
        done = run_script("end", target, tmp_path, how=how)
    assert done.returncode == code, done.stderr
    assert (done.stderr.decode().splitlines() or [""])[-1] == last


def test_a_script_may_read_more_than_the_panel_itself_would(tmp_path) -> None:
    def act(channel) -> None:
        for _ in range(132):
            channel.sendall(b"y" * 32767 + b"\n")
        channel.sendall(b"the end\n")
        channel.send_exit_status(0)
        channel.close()

    with hostile(act) as target:
        done = run_script("ask", target, tmp_path)
    assert done.stderr == b""
    assert b"the end" in done.stdout


@pytest.mark.parametrize(
    "how", ["printf 'gr\\303'; sleep 1; printf '\\274n\\n'", "yes grün | head -c 3000000"]
)
def test_a_character_that_comes_in_two_pieces_is_one(tmp_path, how) -> None:
    with hostile(lambda _channel: None) as target:
        done = run_script("end", target, tmp_path, how=f"c.local({how!r})")
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(done.stdout.decode().splitlines()) == {"grün"}


@pytest.mark.parametrize(
    ("hide", "shown"),
    [
        ("True", ["asked: sure? ", "no such table"]),
        ("'err'", ["asked: sure? ", "no such table"]),
        ("'out'", ["asked: sure? ", "no such table"]),
    ],
)
@pytest.mark.parametrize("end", ["exit 3", "sleep 9"])
def test_what_a_failed_command_said_is_shown_once_also_where_the_script_hides_it(
    tmp_path, hide, shown, end
) -> None:
    command = f"printf 'asked: sure? '; echo no such table >&2; {end}"
    with hostile(lambda _channel: None) as target:
        how = f"c.local({command!r}, hide={hide}, timeout=2, shell='/bin/sh')"
        done = run_script("end", target, tmp_path, how=how)
    assert done.returncode == 1
    *said, last = (done.stdout + done.stderr.replace(command.encode(), b"")).decode().splitlines()
    assert last.startswith("The command ")
    assert [sum(words in line for line in said) for words in shown] == [1, 1]


def test_what_reads_by_sudo_without_having_asked_on_a_line_of_its_own_does_not_wait_for_ever(
    monkeypatch,
) -> None:
    monkeypatch.setattr(talking, "WATCHED_SECONDS", 0.5)
    of_sudo = FailingResponder(r"\[sudo\] password: ", "None\n", "Sorry, try again.\n")
    config = Config(overrides={"run": {"in_stream": False, "shell": "/bin/sh"}})
    config.runners.local = talking.UnaskedLocal
    done = Context(config).run("echo sure?; cat; echo went on", watchers=[of_sudo], hide=True, timeout=20)
    assert done is not None
    assert done.stdout == "sure?\nwent on\n"
