"""Looks: what is active on a host may differ from what its files say, and is mended like a file."""

from dataclasses import replace

import pytest

from hosts import engine
from hosts.errors import NotPlain, ProofFailed
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.state import STAGED, Command, File, State

STATE = State(
    "nat",
    (File("/etc/rules", b"one\n"),),
    checks=(Command(("check", STAGED("/etc/rules"))),),
    activate=(Command(("activate",)),),
    proofs=(Command(("prove",)),),
    looks=(Command(("look",)),),
)
GONE = Result(3, b"-one\nThe rules are gone.\n", b"")


@pytest.fixture
def host() -> MemoryHost:
    made = MemoryHost()
    engine.apply(made, engine.plan(made, STATE))
    return made


def test_a_host_that_holds_and_does_what_it_should_has_an_empty_plan(host):
    plan = engine.plan(host, STATE)
    assert plan.empty
    assert host.ran[-1] == ("look",)


def test_a_look_that_fails_is_a_difference_with_its_words(host):
    host.answers({("look",): GONE})
    plan = engine.plan(host, STATE)
    assert not plan.empty
    assert not plan.changes
    assert plan.inactive == "-one\nThe rules are gone."
    assert "-one\n" in plan.diff


def test_what_is_not_active_is_activated_and_proved_without_staging_anything(host):
    host.answers({("look",): GONE})
    plan = engine.plan(host, STATE)
    before = len(host.ran)
    assert engine.apply(host, plan).changed
    assert host.ran[before:] == [("activate",), ("prove",)]


def test_what_cannot_be_made_active_again_is_said(host):
    host.answers({("look",): GONE, ("prove",): Result(1, b"still gone", b"")})
    with pytest.raises(ProofFailed, match="still gone"):
        engine.apply(host, engine.plan(host, STATE))


def test_a_file_that_is_there_already_is_recorded_as_ours_without_any_command():
    host = MemoryHost(files={"/etc/rules": b"one\n"})
    engine.apply(host, engine.plan(host, STATE))
    assert host.ran == [("look",)]
    assert engine.plan(host, STATE).empty


def test_a_plan_leaves_no_file_behind(host):
    host.answers({("look",): GONE})
    engine.plan(host, STATE)
    assert list(host.path("/run").iterdir()) == []


@pytest.mark.parametrize(
    ("login", "code", "words"),
    [
        (b"hello from bashrc\n", None, "hello from bashrc"),
        (b"without an end", None, "without an end"),
        (b"\x1b[H\x1b[2J", None, ".*"),  # clear(1)
        (b"x" * 1000, None, "x{200}"),
        (b"Welcome\n", 0, "Welcome"),
        (b"", 0, "no answer"),
        (b"not today\n", 3, "not today"),
    ],
)
def test_a_login_that_prints_or_ends_is_told_as_that_and_not_as_a_lost_connection(login, code, words):
    class Chatty(MemoryHost):
        def run(self, *args, **kwargs):
            result = super().run(*args, **kwargs)
            return replace(result, out=login + result.out) if code is None else Result(code, login, b"")

    with pytest.raises(NotPlain, match=rf"\({words}\)"):
        engine.plan(Chatty(), STATE)
