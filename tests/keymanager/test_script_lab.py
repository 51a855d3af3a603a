"""The hosts' script on a real host, against a panel that answers everything that ever went wrong."""

import base64
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keymanager.lines import is_key
from keymanager.protocol import FIRST, LAST
from keymanager.signing import Signer, fresh_key
from tests.keymanager.fake_panel import FakePanel, fake_panel
from tests.keymanager.fleets import ed25519_blob

pytestmark = pytest.mark.lab
SCRIPT = "/usr/local/sbin/gestion-keys"
ADA = f"ssh-ed25519 {ed25519_blob(b'ada')} ada@laptop"
BOB = f"ssh-ed25519 {ed25519_blob(b'bob')} bob@desk"


class Machine:
    """A host of the lab with the script on it."""

    def __init__(self, host, panel: FakePanel) -> None:
        self.host = host
        self.panel = panel

    def sh(self, script: str, *, ok: bool = True) -> str:
        done = self.host.exec(["sh", "-c", script], timeout=60)
        assert not ok or done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout.decode(errors="surrogateescape")

    def put(self, path: str, content: bytes, mode: str = "0644") -> None:
        script = f"mkdir -p $(dirname {path}); cat >{path}; chmod {mode} {path}"
        assert self.host.exec(["sh", "-c", script], stdin=content).returncode == 0

    def fetch(self) -> tuple[int, str]:
        done = self.host.exec([SCRIPT], timeout=90)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def fetch_well(self) -> None:
        """Fetch; what went wrong is in the failure."""
        code, words = self.fetch()
        assert (code, words) == (0, words), self.sh("ip -br a; ip route; ip neigh", ok=False)

    def keys(self, user: str = "root") -> str | None:
        """authorized_keys2 between its markers; None: no such file."""
        home = "/root" if user == "root" else f"/home/{user}"
        done = self.host.exec(["cat", f"{home}/.ssh/authorized_keys2"])
        if done.returncode:
            return None
        text = done.stdout
        assert text.startswith(FIRST)
        assert text.endswith(LAST)
        return text[len(FIRST) : -len(LAST)].decode()


@pytest.fixture(scope="module")
def listening(fleet):
    with fake_panel(fleet.panel_address) as panel:
        yield panel


@pytest.fixture
def machine(fleet, listening):
    listening.seen.clear()
    machine = Machine(fleet["backup1"], listening)
    machine.sh("for u in anna ben; do useradd -m -s /bin/bash $u; done")
    for file in listening.files():
        machine.put(file.path, file.content, f"{file.mode:04o}")
    return machine


def test_keys_are_written_as_sshd_wants_them_and_the_panel_hears_of_it(machine, listening) -> None:
    listening.give({"root": [ADA], "anna": [ADA, BOB], "ben": []})
    code, words = machine.fetch()
    assert (code, listening.problem) == (0, "none"), words
    assert machine.keys() == f"{ADA}\n"
    assert machine.keys("anna") == f"{ADA}\n{BOB}\n"
    assert machine.keys("ben") == ""
    assert (
        machine.sh("cd /home/anna/.ssh && stat -c '%U:%G %a' . authorized_keys2")
        == "anna:anna 700\nanna:anna 600\n"
    )
    etag = listening.reply[1]["ETag"].strip('"')
    assert listening.holds == etag
    assert len(listening.seen) == 2
    assert listening.seen[0]["authorization"] == "Bearer gsk_test"
    machine.fetch_well()
    assert len(listening.seen) == 3
    assert listening.seen[2]["if-none-match"] == f'"{etag}"'


def test_authorized_keys_is_never_touched(machine, listening) -> None:
    machine.sh(
        "mkdir -p -m 700 /home/anna/.ssh; echo mine >/home/anna/.ssh/authorized_keys;"
        "chown -R anna: /home/anna/.ssh"
    )
    before = machine.sh("stat -c '%i %Y %Z %a' /home/anna/.ssh/authorized_keys /root/.ssh/authorized_keys")
    listening.give({"root": [ADA], "anna": [ADA]})
    machine.fetch_well()
    assert (
        machine.sh("stat -c '%i %Y %Z %a' /home/anna/.ssh/authorized_keys /root/.ssh/authorized_keys")
        == before
    )


def bad_answers(panel: FakePanel):
    """Everything of abuse: name, reply, and a word of the problem that the panel hears."""
    etag, good = panel.answer({"root": [BOB]})
    ok = {"ETag": f'"{etag}"'}
    other = Signer.of(fresh_key())
    lines = good.split(b"\n")
    yield "empty", (200, ok, b""), "empty"
    yield "html", (200, ok, b"<html><body>Please sign in</body></html>"), "begin"
    yield "redirected", (302, {"Location": panel.url}, good), "redirected"
    yield "not found", (404, {}, b"Not found.\n"), "404"
    yield "unavailable", (503, {}, b"Try again\n"), "503"
    yield "refused", (401, {}, b"no\n"), "401"
    yield "304 to a host that holds something else", (304, {}, b""), ""
    yield "cut in the keys", (200, ok, good[: len(good) // 4]), "cut"
    yield "cut in the signature", (200, ok, good[:-40]), "signature"
    yield "unsigned", (200, ok, good[: good.index(LAST) + len(LAST)]), "signed"
    yield "altered", (200, ok, good.replace(b"bob@desk", b"eve@desk")), "signature"
    yield "a line added", (200, ok, good.replace(LAST, ADA.encode() + b"\n" + LAST)), "signature"
    yield "signed by another", (200, ok, panel.answer({"root": [BOB]}, signer=other)[1]), "signature"
    yield "for another server", (200, ok, panel.answer({"root": [BOB]}, name="web2")[1]), "name"
    yield "older", (200, ok, panel.answer({"root": [BOB]}, revision=999)[1]), "older"
    yield "a wrong count", (200, ok, panel.answer({"root": [BOB]}, swap=(b"root 1", b"root 2"))[1]), "count"
    yield "no count", (200, ok, panel.answer({"root": [BOB]}, swap=(b"root 1", b"root x"))[1]), "count"
    yield "another protocol", (200, ok, good.replace(lines[1], b"# gestion-keys 2 x")), ""
    yield "much too long", (200, ok, FIRST + b"x" * 50_000_000), "fetch"


def test_whatever_goes_wrong_the_last_good_file_stays_and_the_panel_hears_why(machine, listening) -> None:
    listening.give({"root": [ADA], "anna": [ADA]})
    machine.fetch_well()
    good = listening.reply
    for title, reply, word in list(bad_answers(listening)):
        listening.reply = reply
        code, words = machine.fetch()
        assert machine.keys() == machine.keys("anna") == f"{ADA}\n", title
        if title.startswith("304"):  # nothing changed, says the panel: nothing to complain of
            continue
        assert code == 1, (title, words)
        assert word in words, (title, words)
        # What goes with the very next request says it too.
        listening.reply = good
        listening.seen.clear()
        machine.fetch_well(), title
        assert word in listening.seen[0]["gestion-keys-problem"], (title, listening.seen)
        assert listening.problem == "none", title


def test_a_panel_out_of_reach_changes_nothing_and_the_next_request_says_so(machine, listening) -> None:
    listening.give({"root": [ADA]})
    machine.fetch_well()
    machine.sh("sed -i 's,^url=.*,url=http://198.51.100.222:9/,' /etc/gestion/keys.conf")
    code, words = machine.fetch()
    assert code == 1
    assert "fetch: curl" in words
    assert machine.keys() == f"{ADA}\n"
    for file in listening.files():
        machine.put(file.path, file.content, f"{file.mode:04o}")
    listening.seen.clear()
    machine.fetch_well()
    assert "fetch: curl" in listening.seen[0]["gestion-keys-problem"]


def test_plain_http_is_never_spoken_unless_the_settings_say_so(machine, listening) -> None:
    machine.sh("sed -i 's,^plain_http=.*,plain_http=no,' /etc/gestion/keys.conf")
    listening.give({"root": [ADA]})
    listening.seen.clear()
    assert machine.fetch()[0] == 1
    assert listening.seen == []


def test_settings_are_read_and_never_run(machine, listening) -> None:
    listening.give({"root": [ADA]})
    for evil in (
        "name=web1$(touch /tmp/owned)",
        'token=x"\nurl = "http://x/',
        "url=http://x/;touch /tmp/owned",
    ):
        conf = listening.files()[1].content + evil.encode() + b"\n"
        machine.put("/etc/gestion/keys.conf", conf, "0600")
        assert machine.fetch()[0] in {0, 1}
        machine.sh("test ! -e /tmp/owned")


def test_the_token_is_on_no_command_line(machine, listening) -> None:
    listening.give({"root": [ADA]})
    script = "strace -f -s 4096 -e trace=execve -o /tmp/trace gestion-keys; grep -c gsk_test /tmp/trace; true"
    if machine.host.exec(["sh", "-c", "command -v strace"]).returncode:
        text = next(file.content for file in listening.files() if file.path == SCRIPT).decode()
        assert "--config -" in text
        assert all("token" not in line for line in text.splitlines() if "curl -q" in line)
    else:
        assert machine.sh(script).strip().endswith("0")


def test_a_full_disk_keeps_the_last_good_file(machine, listening) -> None:
    listening.give({"root": [ADA], "anna": [ADA]})
    machine.fetch_well()
    machine.sh("mount -t tmpfs -o size=64k tmpfs /home/ben; chown ben: /home/ben; chmod 700 /home/ben")
    try:
        machine.sh("dd if=/dev/zero of=/home/ben/full bs=1k 2>/dev/null; true")
        listening.give({"root": [BOB], "anna": [BOB], "ben": [BOB] * 30})
        code, words = machine.fetch()
        assert code == 1
        assert "write: ben" in words
        assert "ben" in listening.problem
        assert machine.keys("ben") is None
        assert machine.keys() == machine.keys("anna") == f"{BOB}\n"
    finally:
        machine.sh("umount /home/ben")


def test_a_full_disk_under_the_state_keeps_the_last_good_file(machine, listening) -> None:
    listening.give({"root": [ADA], "anna": [ADA]})
    machine.fetch_well()
    machine.sh(
        "cp -a /var/lib/gestion/keys /tmp/state; mount -t tmpfs -o size=128k tmpfs /var/lib/gestion/keys;"
        "cp -a /tmp/state/. /var/lib/gestion/keys/;"
        "dd if=/dev/zero of=/var/lib/gestion/keys/full bs=1k 2>/dev/null; true"
    )
    try:
        listening.give({"root": [BOB]})
        code, words = machine.fetch()
        assert code == 1, words
        assert machine.keys() == machine.keys("anna") == f"{ADA}\n"
        assert listening.problem != "none"
    finally:
        machine.sh("umount /var/lib/gestion/keys; rm -rf /tmp/state")
    machine.fetch_well()
    assert machine.keys() == f"{BOB}\n"


@pytest.mark.parametrize(
    "trap",
    [
        "ln -s /etc/shadow .ssh/authorized_keys2",
        "ln -s /root/.ssh .ssh2; rm -rf .ssh; mv .ssh2 .ssh",
        "mkfifo .ssh/authorized_keys2",
        "ln -s /etc/cron.d/x .ssh/authorized_keys2.before-gestion; echo old >.ssh/authorized_keys2",
        "mkdir .ssh/authorized_keys2",
        "ln -s authorized_keys2 .ssh/authorized_keys; echo mine >.ssh/authorized_keys2",
        "rm -rf .ssh; mkfifo .ssh",
    ],
)
def test_what_a_user_plants_in_his_home_leads_root_nowhere(machine, listening, trap) -> None:
    machine.sh(f"su anna -c 'cd; mkdir -m 700 .ssh; {trap}'")
    watched = "stat -c '%n %i %Y %Z %a %U' /etc/shadow /root/.ssh /root/.ssh/authorized_keys; ls /etc/cron.d"
    before = machine.sh(watched)
    listening.give({"anna": [ADA], "ben": [ADA]})
    machine.fetch()
    assert machine.sh(watched) == before
    assert machine.keys("ben") == f"{ADA}\n", "one user's trap must not keep another's keys away"
    owner = machine.sh("find /home/anna/.ssh/ -maxdepth 1 ! -user anna 2>/dev/null; true")
    assert "authorized_keys2" not in owner


def test_keys_that_were_there_are_kept_aside_once_and_named(machine, listening) -> None:
    machine.sh("su anna -c 'cd; mkdir -m 700 .ssh; echo ssh-rsa AAAA old >.ssh/authorized_keys2'")
    listening.give({"anna": [ADA]})
    machine.fetch_well()
    assert "anna: 1 line that was there before is in authorized_keys2.before-gestion" in listening.problem
    assert machine.keys("anna") == f"{ADA}\n"
    assert machine.sh("cat /home/anna/.ssh/authorized_keys2.before-gestion") == "ssh-rsa AAAA old\n"
    machine.sh("su anna -c 'echo ssh-rsa AAAA again >>~/.ssh/authorized_keys2'")
    machine.fetch_well()
    assert machine.keys("anna") == f"{ADA}\n"
    assert machine.sh("cat /home/anna/.ssh/authorized_keys2.before-gestion") == "ssh-rsa AAAA old\n"
    machine.fetch()
    assert listening.problem == "none"
    assert machine.sh("ls -A /home/anna/.ssh") == "authorized_keys2\nauthorized_keys2.before-gestion\n"


def test_a_file_changed_by_hand_is_put_right_though_nothing_new_came(machine, listening) -> None:
    listening.give({"anna": [ADA]})
    machine.fetch()
    machine.sh("rm /home/anna/.ssh/authorized_keys2; chmod 755 /home/anna/.ssh")
    machine.fetch_well()
    assert machine.keys("anna") == f"{ADA}\n"
    assert machine.sh("stat -c %a /home/anna/.ssh") == "700\n"


def test_a_user_who_is_in_the_answer_no_more_loses_the_keys(machine, listening) -> None:
    listening.give({"anna": [ADA], "ben": [ADA]})
    machine.fetch()
    listening.give({"ben": [ADA]})
    machine.fetch_well()
    assert machine.keys("anna") is None
    assert machine.keys("ben") == f"{ADA}\n"


def test_an_unknown_user_is_said_and_served_once_he_is_there(machine, listening) -> None:
    listening.give({"root": [ADA], "carl": [ADA]})
    machine.fetch_well()
    assert "no-user: carl" in listening.problem
    machine.sh("useradd -m carl")
    try:
        machine.fetch_well()
        assert machine.keys("carl") == f"{ADA}\n"
        assert listening.problem == "none"
    finally:
        machine.sh("userdel -rf carl 2>/dev/null; true")


def test_a_home_of_roots_gets_its_folder_and_a_home_open_to_others_is_reported(machine, listening) -> None:
    machine.sh(
        "usermod -d /srv/www ben; mkdir -p /srv/www; chown root: /srv/www;"
        "chmod 755 /srv/www; chmod g+w /home/anna"
    )
    listening.give({"ben": [ADA], "anna": [ADA]})
    machine.fetch_well()
    assert machine.sh("stat -c '%U %a' /srv/www/.ssh/authorized_keys2") == "ben 600\n"
    assert "anna: home is writable for others" in listening.problem
    machine.sh("rm -rf /srv/www")


def test_after_a_change_of_name_a_lower_revision_counts(machine, listening) -> None:
    listening.give({"root": [ADA]})
    machine.fetch()
    machine.sh("sed -i s/^name=.*/name=web9/ /etc/gestion/keys.conf")
    listening.give({"root": [BOB]}, name="web9", revision=7)
    machine.fetch_well()
    assert machine.keys() == f"{BOB}\n"


def test_forget_takes_every_key_away_and_check_says_how_it_stands(machine, listening) -> None:
    assert machine.host.exec([SCRIPT, "--check"]).returncode == 1
    listening.give({"root": [ADA], "anna": [ADA]})
    machine.fetch()
    assert machine.host.exec([SCRIPT, "--check"]).returncode == 0
    machine.sh(f"{SCRIPT} --forget")
    assert machine.keys() is machine.keys("anna") is None


KEY_LINES = st.builds(
    lambda options, seed, comment: (
        f"{options}ssh-ed25519 {base64.b64encode(hashlib.sha256(seed).digest() * 2).decode()}{comment}"
    ),
    st.sampled_from(["", "no-pty ", 'command="a \\"b\\" $(c) `d` \\\\n",from="1.2.3.4,!*.x" ', "user "]),
    st.binary(max_size=4),
    st.one_of(
        st.just(""),
        st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30).map(lambda text: " " + text),
        st.sampled_from(
            [" # users root 3", " \\n \\0 %s $(id) `id` ' \" \\", " ### AUTOMATIC UPDATES - DON'T EDIT ###"]
        ),
    ),
).map(lambda line: line.replace("ssh-ed25519 ", "ssh-ed25519 AAAA"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["root", "anna", "ben"]), st.lists(KEY_LINES, max_size=5)))
def test_any_key_set_arrives_as_it_was_sent(machine, listening, users) -> None:
    assert all(is_key(line.encode()) for lines in users.values() for line in lines)
    listening.give(users)
    code, words = machine.fetch()
    assert code == 0, words
    for user, lines in users.items():
        assert machine.keys(user) == "".join(f"{line}\n" for line in lines)
