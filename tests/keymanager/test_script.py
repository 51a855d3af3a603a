"""The hosts' script on this machine, against a panel that gives good and bad answers."""

import itertools
import signal
import time
from pathlib import Path

import pytest

from keymanager.protocol import FIRST, LAST, NAMESPACES, PRINCIPAL, STALE_HOURS
from keymanager.signing import Signer, fresh_key
from tests.keymanager.script_host import ADA, BOB, needs_root

pytestmark = needs_root
TEN_YEARS = 10 * 365 * 86_400


def test_keys_are_written_and_nothing_new_is_nothing_to_do(host, panel) -> None:
    panel.give({"root": [ADA], "anna": [ADA, BOB], "ben": []})
    code, words = host.run()
    assert code == 0, words
    assert (host.keys(), host.keys("anna"), host.keys("ben")) == (f"{ADA}\n", f"{ADA}\n{BOB}\n", "")
    assert panel.problem == "none"
    assert host.run()[0] == 0
    assert len(panel.seen) == 3


BAD_LINES = {
    "a tab in an option": f'command="a\tb" {BOB}',
    "another type": "ssh-dss AAAAB3 x",
    "a head": "# users anna 1",
    "the last marker": LAST.decode().strip(),
    "much too long": f"{BOB} {'c' * 21_000}",
    "a quote that is not closed": f'command="a {BOB}',
    "nothing": "",
    "nul": f"{BOB}\0",
}


def test_bad_lines_are_left_out_and_named_and_the_other_keys_are_taken_away(host, panel) -> None:
    panel.give({"root": [ADA, BOB], "anna": [ADA], "ben": [BOB]})
    assert host.run()[0] == 0
    bad = list(BAD_LINES.values())
    panel.give({"root": [*bad, BOB, *bad], "anna": [], "ben": [BOB, bad[0], ADA]})
    code, words = host.run()
    assert code == 0, words
    assert (host.keys(), host.keys("anna"), host.keys("ben")) == (f"{BOB}\n", "", f"{BOB}\n{ADA}\n")
    assert f"left out: {2 * len(bad)} of the lines for root: no key in line 1:command=" in panel.problem
    assert panel.problem.isprintable()


def test_one_odd_unix_user_is_left_out_and_named_and_the_others_get_their_keys(host, panel) -> None:
    panel.give(
        {"root": [ADA], "anna": [BOB, BOB], "ben": [BOB]}, swap=(b"# users anna 2", b"# users ../x,-rf 2")
    )
    code, words = host.run()
    assert code == 0, words
    assert (host.keys(), host.keys("ben")) == (f"{ADA}\n", f"{BOB}\n")
    assert "left out: -rf is no name of a unix user" in panel.problem


@pytest.mark.parametrize("had_keys", [False, True])
def test_a_unix_user_without_a_home_can_be_taken_off_the_list_again(host, panel, had_keys) -> None:
    """As `useradd` of Debian makes them: each fetch failed for good. What may come back with its home is awaited."""
    home = host.folder / "home/anna"
    panel.give({"root": [ADA], "anna": [ADA]})
    if had_keys:
        assert host.run()[0] == 0
    home.rename(home.with_name("away"))
    assert host.run()[0] == 1
    assert panel.problem == "write: anna: home cannot be entered"
    panel.give({"root": [ADA]})
    assert host.run()[0] == had_keys
    assert panel.problem == ("write: anna: home cannot be entered" if had_keys else "none")
    home.with_name("away").rename(home)
    assert host.run()[0] == 0
    assert host.keys("anna") is None


def test_keys_are_taken_from_a_user_who_could_not_be_looked_up_for_a_while(host, panel) -> None:
    panel.give({"root": [ADA], "ben": [BOB]})
    assert host.run()[0] == 0
    passwd = host.folder / "etc/passwd"
    whole = passwd.read_text()
    passwd.write_text("".join(line for line in whole.splitlines(keepends=True) if not line.startswith("ben")))
    assert host.run()[0] == 0
    assert "no-user: ben" in panel.problem
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    assert host.keys("ben") == f"{BOB}\n"
    passwd.write_text(whole)
    assert host.run()[0] == 0
    assert host.keys("ben") is None


# ---- Old answers, and clocks --------------------------------------------------------------------------------------


def with_ada(host, panel) -> None:
    """A host that holds Ada's key, and a panel that would now give Bob's."""
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    panel.give({"root": [BOB]})
    panel.seen.clear()


def test_an_answer_recorded_earlier_is_refused_whether_it_says_keys_or_nothing_new(host, panel) -> None:
    with_ada(host, panel)
    revision, etag = panel.revision, panel.reply[1]["ETag"].strip('"')
    panel.proof = panel.prove(revision, etag, "0" * 32)
    code, words = host.run()
    assert (code, host.keys()) == (1, f"{ADA}\n"), words
    assert "proof: the answer is not one to this request" in panel.problem
    held = host.state("etag").read_text().strip() if host.state("etag").exists() else etag
    panel.reply = (304, {}, b"")
    panel.proof = panel.prove(revision, held, "0" * 32)
    code, words = host.run()
    assert code == 1, words


@pytest.mark.parametrize(
    "proof", ["", "1 2 3", "2 1001 1790000000 AAAA", "1 1001 1790000000 AAAA", "1 * * *"]
)
def test_nothing_new_without_a_proof_is_refused_and_told(host, panel, proof) -> None:
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    panel.proof = proof
    code, words = host.run()
    assert code == 1, words
    assert "proof: " in panel.problem
    panel.proof = None
    assert host.run()[0] == 0
    assert panel.problem == "none"


def test_a_proof_of_other_keys_than_this_server_holds_proves_nothing(host, panel) -> None:
    with_ada(host, panel)
    revision, etag = panel.revision, panel.reply[1]["ETag"].strip('"')
    panel.reply = (304, {}, b"")

    def for_the_new_keys(asked, _status, _body) -> str:
        return panel.prove(revision, etag, asked["gestion-keys-nonce"])

    panel.proof_for = for_the_new_keys
    code, words = host.run()
    assert code == 1, words
    assert "proof: " in panel.problem


def test_other_keys_under_the_same_revision_are_refused_and_told(host, panel) -> None:
    panel.give({"root": [ADA]}, revision=2000)
    assert host.run()[0] == 0
    panel.give({"root": [BOB]}, revision=2000)
    code, words = host.run()
    assert (code, host.keys()) == (1, f"{ADA}\n"), words
    assert "changed: revision 2000 was here already, with other keys" in panel.problem
    panel.give({"root": [BOB]}, revision=2001)
    assert host.run()[0] == 0
    assert host.keys() == f"{BOB}\n"


@pytest.mark.parametrize("off", [-TEN_YEARS, TEN_YEARS])
def test_a_clock_that_is_years_off_keeps_nobody_from_newer_keys(host, panel, off) -> None:
    with_ada(host, panel)
    panel.clock = off
    code, words = host.run()
    assert (code, host.keys()) == (0, f"{BOB}\n"), words
    assert "clock: it is " in panel.problem
    panel.clock = 0
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    assert (host.keys(), panel.problem) == (f"{ADA}\n", "none")


def test_after_hours_without_a_proved_answer_a_server_says_that_it_is_stale(host, panel) -> None:
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    boot, uptime, clock, at = host.state("proved").read_text().split()
    # Since it was started, too, there has been none: however long this machine runs, that is longer ago.
    hours = STALE_HOURS + int(uptime) // 3600
    host.state("proved").write_text(f"another-boot 1 {int(clock) - hours * 3600 - 60} {at}\n")
    panel.reply = (500, {}, b"no")
    code, words = host.run()
    assert code == 3, words
    assert f"stale: no proved answer for {hours} hours; fetch: the panel answered 500" in words
    assert panel.problem.startswith("stale: ")
    assert panel.seen[-1]["gestion-keys-proved"] == at
    code, words = host.run("--check")
    assert (code, words.count("stale:")) == (3, 1), words
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    assert panel.problem == "none"
    assert host.state("proved").read_text().split()[0] == boot


@pytest.mark.parametrize("jump", [-TEN_YEARS, TEN_YEARS])
def test_a_clock_that_jumps_makes_no_server_stale(host, panel, jump) -> None:
    panel.give({"root": [ADA]})
    assert host.run()[0] == 0
    boot, uptime, clock, at = host.state("proved").read_text().split()
    host.state("proved").write_text(f"{boot} {uptime} {int(clock) + jump} {at}\n")
    panel.reply = (500, {}, b"no")
    code, words = host.run()
    assert (code, "stale" in words) == (1, False)


# ---- Answers that are not what they should be ---------------------------------------------------------------------


def test_an_answer_cut_anywhere_changes_nothing(host, panel) -> None:
    with_ada(host, panel)
    status, headers, whole = panel.reply
    lines = whole.splitlines(keepends=True)
    for count in range(len(lines)):
        panel.reply = (status, headers, b"".join(lines[:count]))
        code, words = host.run()
        assert (code, host.keys()) == (1, f"{ADA}\n"), (count, words)
    panel.reply = (status, headers, whole)
    assert host.run()[0] == 0
    assert host.keys() == f"{BOB}\n"


def test_what_another_server_would_get_is_refused_also_with_a_right_proof(host, panel) -> None:
    with_ada(host, panel)
    panel.give({"root": [BOB]}, name="web2")
    code, words = host.run()
    assert (code, host.keys()) == (1, f"{ADA}\n"), words
    assert "name: the answer is for web2" in panel.problem


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please sign in</html>",
        b"\0" * 5000,
        FIRST,
        FIRST + b"# gestion-keys 1 web1 9 x\n" + LAST,
        b"\n",
    ],
)
def test_garbage_changes_nothing(host, panel, body) -> None:
    with_ada(host, panel)
    panel.reply = (200, {}, body)
    code, words = host.run()
    assert (code, host.keys()) == (1, f"{ADA}\n"), words
    assert panel.problem not in {"none", ""}


def test_a_new_signing_key_counts_once_a_host_knows_it_and_until_then_its_keys_stay(host, panel) -> None:
    with_ada(host, panel)
    old, old_signers = panel.signer, panel.signers
    key = fresh_key()
    panel.signer = Signer.of(key)
    panel.give({"root": [BOB]})
    code, words = host.run()
    assert (code, host.keys()) == (1, f"{ADA}\n"), words
    assert "signature: " in panel.problem
    panel.signers = f'{old_signers}{PRINCIPAL} namespaces="{NAMESPACES}" {key.public_key}\n'
    host.roll_out()
    assert host.run()[0] == 0
    assert host.keys() == f"{BOB}\n"
    panel.signers = panel.signers.removeprefix(old_signers)
    host.roll_out()
    assert host.run()[0] == 0
    panel.signer = old
    panel.give({"root": [ADA]})
    assert host.run()[0] == 1
    assert host.keys() == f"{BOB}\n"


# ---- One run at a time --------------------------------------------------------------------------------------------


def test_runs_that_begin_at_once_fetch_and_write_one_after_the_other(host, panel) -> None:
    inside: list[int] = []
    most: list[int] = []

    def busy() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.2)
        inside.pop()

    panel.before_reply = busy
    panel.give({"root": [ADA]})
    runs = [host.begin() for _ in range(4)]
    for run in runs:
        said, _none = run.communicate(timeout=120)
        assert run.returncode == 0, said
    assert max(most) == 1
    assert host.keys() == f"{ADA}\n"
    assert len(list(host.state(".").glob("turn.*"))) == 1


def test_a_run_that_was_killed_holds_up_nobody_and_is_told(host, panel) -> None:
    with_ada(host, panel)
    waiting = itertools.count()
    panel.before_reply = lambda: time.sleep(5) if next(waiting) == 0 else None
    run = host.begin()
    while not panel.seen:
        time.sleep(0.05)
    pid = int(next(host.state(".").glob("turn.*")).read_text().split()[0])
    assert pid == run.pid
    run.send_signal(signal.SIGKILL)
    run.wait()
    code, words = host.run()
    assert (code, host.keys()) == (0, f"{BOB}\n"), words
    assert "the run before this one did not come to its end" in panel.problem
    assert host.run()[0] == 0
    assert panel.problem == "none"


def test_the_token_is_on_no_command_line_and_in_no_environment(host, panel) -> None:
    panel.give({"root": [ADA], "anna": [ADA], "ben": [BOB]})
    seen: set[Path] = set()

    def look() -> None:
        # Listed, not globbed: a glob looks at each file, and stumbles over a process that has ended meanwhile.
        folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
        for place in (folder / name for name in ("cmdline", "environ") for folder in folders):
            try:
                if b"gsk_test" in place.read_bytes():
                    seen.add(place)
            except OSError:
                continue

    panel.before_reply = look
    run = host.begin()
    while run.poll() is None:
        look()
    assert run.returncode == 0
    assert seen == set()
