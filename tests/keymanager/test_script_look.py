"""The hosts' script on an authorized_keys2 that somebody changed: a look at it, and the fetch that puts it right."""

import subprocess

import pytest

from keymanager.protocol import FIRST, LAST, has_failed
from tests.keymanager.fleets import ed25519_blob
from tests.keymanager.script_host import ADA, ANNA, BEN, BOB, ScriptHost, needs_root

pytestmark = needs_root
EVE = f"ssh-ed25519 {ed25519_blob(b'eve')} eve@cafe"


def print_of(line: str) -> str:
    """The fingerprint, by ssh-keygen."""
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", "-"], input=line.encode(), capture_output=True, check=True
    )
    return said.stdout.decode().split()[1]


def authorized(host: ScriptHost, user: str):
    home = host.folder / ("root" if user == "root" else f"home/{user}")
    return home / ".ssh/authorized_keys2"


def put(host: ScriptHost, user: str, *lines: str) -> None:
    """Put lines between the marks, as somebody with an editor does."""
    file = authorized(host, user)
    text = file.read_bytes().removesuffix(LAST)
    file.write_bytes(text + "".join(f"{line}\n" for line in lines).encode() + LAST)


@pytest.fixture
def fetched(host, panel) -> ScriptHost:
    panel.give({"root": [ADA], "anna": [ADA, BOB]})
    code, words = host.run()
    assert code == 0, words
    return host


def test_a_look_at_what_was_written_finds_nothing_and_asks_nobody(fetched, panel) -> None:
    asked = len(panel.seen)
    assert fetched.run("--look") == (0, "gestion-keys: every authorized_keys2 is as it was written\n")
    assert len(panel.seen) == asked


def test_a_key_put_there_by_hand_is_found_by_a_look_which_changes_nothing(fetched, panel) -> None:
    put(fetched, "anna", EVE)
    before = authorized(fetched, "anna").read_bytes()
    code, words = fetched.run("--look")
    assert code == 4
    assert words.splitlines() == [
        f"-anna: ssh-ed25519 {print_of(EVE)} eve@cafe",
        "authorized_keys2 is not as it was written: anna: 1 line not from Gestion",
    ]
    assert authorized(fetched, "anna").read_bytes() == before


CHANGED = {
    "a missing key": (lambda file: file.write_bytes(FIRST + f"{ADA}\n".encode() + LAST), "1 line missing"),
    "no file": (lambda file: file.unlink(), "no file"),
    "an empty file": (lambda file: file.write_bytes(b""), "2 lines missing"),
    "another mode": (lambda file: file.chmod(0o644), "mode 644"),
    "a key twice": (
        lambda file: file.write_bytes(FIRST + f"{ADA}\n{BOB}\n{ADA}\n".encode() + LAST),
        "other lines",
    ),
    "no marks": (lambda file: file.write_bytes(f"{ADA}\n{BOB}\n".encode()), "other lines"),
    "a remark and a blank line": (
        lambda file: file.write_bytes(FIRST + f"# ha\n\n{ADA}\n{BOB}\n".encode() + LAST),
        "other lines",
    ),
    "a link": (
        lambda file: (file.rename(file.with_name("real")), file.symlink_to("real")),
        "a symbolic link",
    ),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "a directory, 2 lines missing"),
    "a restriction that went": (
        lambda file: file.write_bytes(FIRST + f"no-pty {ADA}\n{BOB}\n".encode() + LAST),
        "1 line not from Gestion, 1 line missing",
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_whatever_else_was_changed_is_found_by_a_look(fetched, what) -> None:
    change, words = CHANGED[what]
    change(authorized(fetched, "anna"))
    code, said = fetched.run("--look")
    assert code == 4, said
    assert said.splitlines()[-1] == f"authorized_keys2 is not as it was written: anna: {words}"
    assert fetched.run("--look")[0] == 4


def test_every_unix_user_is_looked_at_whatever_another_one_has_done(fetched) -> None:
    file = authorized(fetched, "anna")
    file.unlink()
    subprocess.run(["mkfifo", str(file)], check=True)
    put(fetched, "root", EVE)
    code, said = fetched.run("--look")
    assert code == 4
    assert "anna: a fifo" in said
    assert f"-root: ssh-ed25519 {print_of(EVE)} eve@cafe" in said


def test_a_link_to_what_its_user_may_not_read_tells_nobody_what_is_in_it(fetched) -> None:
    secret = fetched.folder / "etc/secret"
    secret.write_text(f"{EVE}\n")
    secret.chmod(0o600)
    file = authorized(fetched, "anna")
    file.unlink()
    file.symlink_to("/etc/secret")
    code, said = fetched.run("--look")
    assert code == 4
    assert print_of(EVE) not in said
    assert "eve" not in said


SECRET = 'environment="TOKEN=hunter2",command="sh -c \\"curl -u me:hunter2\\" # ssh-rsa AAAA"'


def test_of_a_line_only_what_a_key_tells_of_itself_is_said(fetched, panel) -> None:
    put(
        fetched,
        "root",
        f"{SECRET} {EVE} {'x' * 300}",
        f"password hunter2 {'y' * 9000}",
        "\0\x1b]0;hunter2\x07",
    )
    code, said = fetched.run("--look")
    assert code == 4
    assert "hunter2" not in said
    assert said.splitlines()[0].startswith(f"-root: options ssh-ed25519 {print_of(EVE)} eve@cafe xxx")
    assert max(map(len, said.splitlines())) < 250
    assert said.count("-root: no key\n") == 2
    assert said.replace("\n", "").isprintable()
    assert fetched.run()[0] == 0
    told = panel.seen[-1]["gestion-keys-found"]
    assert "hunter2" not in told
    assert told.split(";")[0].startswith(f"root: options ssh-ed25519 {print_of(EVE)} eve@cafe xxx")


def test_the_fetch_that_takes_a_key_out_tells_the_panel_which_and_counts_truly(fetched, panel) -> None:
    put(fetched, "root", "", "# by hand", EVE)
    assert fetched.run()[0] == 0
    assert fetched.keys() == f"{ADA}\n"
    assert panel.problem == "root: 1 line that was not from Gestion is taken out of authorized_keys2"
    assert panel.seen[-1]["gestion-keys-found"] == f"root: ssh-ed25519 {print_of(EVE)} eve@cafe"
    assert fetched.run()[0] == 0
    assert panel.problem == "none"
    assert "gestion-keys-found" not in panel.seen[-1]


def test_what_was_found_is_told_again_until_the_panel_has_heard_it(fetched, panel) -> None:
    right = panel.reply
    put(fetched, "root", EVE)
    panel.reply = (503, {}, b"no\n")
    assert fetched.run()[0] == 1
    assert "gestion-keys-found" in panel.seen[-1], "told, but the panel did not take it"
    assert fetched.keys() == f"{ADA}\n"
    panel.reply = right
    assert fetched.run()[0] == 0
    assert print_of(EVE) in panel.seen[-2]["gestion-keys-found"] + panel.seen[-1].get(
        "gestion-keys-found", ""
    )
    fetched.run()
    assert "gestion-keys-found" not in panel.seen[-1]


def test_what_does_not_fit_into_one_request_is_told_with_the_next(fetched, panel) -> None:
    panel.give({"root": [ADA], "anna": [ADA, BOB], "ben": [BOB]})
    assert fetched.run()[0] == 0
    lines = {user: [f"ssh-ed25519 {ed25519_blob(f'{user}{n}'.encode())} x" for n in range(9)]
             for user in ("root", "anna", "ben")}  # fmt: skip
    for user, own in lines.items():
        put(fetched, user, *own)
    asked = len(panel.seen)
    fetched.run()
    fetched.run()
    told = ";".join(seen.get("gestion-keys-found", "") for seen in panel.seen[asked:])
    assert all(print_of(line) in told for own in lines.values() for line in own)
    assert not (fetched.folder / "var/lib/gestion/keys/found").exists()


def test_a_key_behind_many_others_is_told_as_well(fetched, panel) -> None:
    """Ten decoys before it wiped its trace."""
    panel.give({"root": [ADA], "anna": [ADA]})
    assert fetched.run()[0] == 0
    put(fetched, "anna", *(f"ssh-ed25519 {ed25519_blob(f'x{n}'.encode())} x" for n in range(45)), EVE)
    asked = len(panel.seen)
    for _ in range(3):
        fetched.run()
    assert print_of(EVE) in ";".join(seen.get("gestion-keys-found", "") for seen in panel.seen[asked:])


def test_keys_that_change_in_the_panel_are_none_that_somebody_put_there(fetched, panel) -> None:
    put(fetched, "anna", EVE)
    panel.give({"root": [BOB], "anna": [BOB]})
    assert fetched.run()[0] == 0
    assert panel.seen[-1]["gestion-keys-found"] == f"anna: ssh-ed25519 {print_of(EVE)} eve@cafe"
    assert "anna: 1 line that was not from Gestion" in panel.problem
    assert "root" not in panel.problem


def test_what_the_script_before_this_one_wrote_is_ours(fetched, panel) -> None:
    subprocess.run(["rm", "-r", str(fetched.state("wrote"))], check=True)
    assert fetched.run("--look")[0] == 0
    panel.give({"root": [BOB], "anna": [BOB]})
    assert fetched.run()[0] == 0
    assert panel.problem == "none"


def test_a_key_beside_ours_is_told_also_when_its_unix_user_gets_none_any_more(fetched, panel) -> None:
    put(fetched, "anna", EVE)
    panel.give({"root": [ADA]})
    assert fetched.run()[0] == 0
    assert fetched.keys("anna") is None
    assert print_of(EVE) in panel.seen[-1]["gestion-keys-found"]


BESIDE = (
    "printf '%s\\n' '{1}' >>{0}",
    "sed -i '1i {1}' {0}",
    "printf '%s\\n' '{1}' >>{0}; sed -i 's/$/\\r/' {0}",  # saved on Windows
)


@pytest.mark.parametrize("how", BESIDE)
@pytest.mark.parametrize("taken", ["off the list", "by --forget"])
@pytest.mark.parametrize("kept", ["", ".before-gestion", ".taken-away"])  # since it lay there before
def test_a_key_put_beside_our_marks_keeps_nobody_elses_there(fetched, panel, how, taken, kept) -> None:
    file = authorized(fetched, "anna")
    if kept:
        file.with_name(file.name + kept).write_text(BOB)
    subprocess.run(["sh", "-c", how.format(file, EVE)], check=True)
    panel.give({"root": [ADA]})
    code, words = fetched.run(*(["--forget"] if taken == "by --forget" else []))
    assert code == 0, words
    assert fetched.keys("anna") is None
    aside = {path.name.removeprefix(file.name): path.read_text() for path in file.parent.iterdir()}
    assert not kept or aside.pop(kept) == BOB
    [(name, text)] = aside.items()
    assert (name, EVE in text) == (".taken-away.more" if kept == ".taken-away" else ".taken-away", True)
    told = panel.problem if taken == "off the list" else words
    assert "anna: 1 line that was there before is in authorized_keys2.taken-away" in told
    if taken == "off the list":
        assert print_of(EVE) in panel.seen[-1]["gestion-keys-found"]


@pytest.mark.parametrize("arguments", [(), ("--forget",)])
def test_lines_beside_our_marks_stay_where_they_are_the_users_own_file(fetched, panel, arguments) -> None:
    """As for who is on the list: they would lose their own way in."""
    file = authorized(fetched, "anna")
    file.with_name("authorized_keys").symlink_to(file.name)
    with file.open("a") as end:
        end.write(f"{EVE}\n")
    panel.give({"root": [ADA]})
    code, words = fetched.run(*arguments)
    assert code == 1
    assert "write: anna: authorized_keys is a link to authorized_keys2" in words
    assert EVE in file.read_text()


def test_the_first_fetch_counts_and_tells_what_lay_there(host, panel) -> None:
    file = authorized(host, "anna")
    file.parent.mkdir(mode=0o700)
    file.write_text(f"# mine\n{EVE}\n{BOB}\n\n")
    for path in (file.parent, file):
        subprocess.run(["chown", str(ANNA), str(path)], check=True)
    panel.give({"anna": [ADA]})
    assert host.run()[0] == 0
    assert panel.problem == "anna: 2 lines that were there before are in authorized_keys2.before-gestion"
    assert [one.split()[2] for one in panel.seen[-1]["gestion-keys-found"].split(";")] == [
        print_of(EVE), print_of(BOB),
    ]  # fmt: skip


def test_a_key_that_the_openssh_of_the_host_does_not_read_is_told_and_costs_nobody_a_key(host, panel) -> None:
    cut = f"ssh-ed25519 {ADA.split()[1][:40]} carl@cut"
    panel.give({"root": [ADA, cut, BOB]})
    code, words = host.run()
    assert code == 0, words
    assert host.keys() == f"{ADA}\n{cut}\n{BOB}\n"
    assert panel.problem == "not read: root: the OpenSSH here reads 2 of 3 lines, not ssh-ed25519 carl@cut"
    assert host.run("--look")[0] == 0


WITH_OPTIONS = (f'command="a b",expiry-time="20990101Z" {ADA}', f"no-pty,verify-required {BOB}", EVE)
OTHER_SSH = "mount --bind /etc/gestion/ssh /usr/bin/ssh && exec sh /etc/gestion/gestion-keys"


@pytest.mark.parametrize(
    ("version", "refused"),
    [("8.2p1 Ubuntu-4", 2), ("8.9p1 Ubuntu-3", 1), ("9.0p1", 1), ("9.1p1", 0), ("10.0p1 Debian-7", 0)],
)
def test_options_that_the_openssh_of_the_host_does_not_know_yet_are_told(
    host, panel, version, refused
) -> None:
    """Its sshd refuses the whole line, of which ssh-keygen says nothing."""
    program = host.folder / "etc/gestion/ssh"
    program.write_text(f"#!/bin/sh\necho 'OpenSSH_{version}, OpenSSL 3' >&2\n")
    program.chmod(0o755)
    panel.give({"root": list(WITH_OPTIONS)})
    said, _none = host.start("sh", "-c", OTHER_SSH).communicate(timeout=60)
    assert b"holds what it should" in said, said
    lines = {1: "1 line", 2: "2 lines"}.get(refused)
    words = (
        f"not read: root: the OpenSSH here refuses {lines} for options that came later (an end with Z: 9.1)"
    )
    assert panel.problem == (words if refused else "none")
    assert not has_failed(words)


SBIN = "mount -t overlay sbin -o lowerdir=/etc/gestion/sbin:/usr/sbin /usr/sbin"


@pytest.mark.parametrize(
    ("files", "told"), [(".ssh/authorized_keys", True), (".ssh/authorized_keys .ssh/authorized_keys2", False)]
)
def test_a_server_whose_sshd_does_not_read_the_file_says_so(host, panel, files, told) -> None:
    """As that of Fedora, Rocky and their like: what is fetched lets nobody in."""
    program = host.folder / "etc/gestion/sbin/sshd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = -T ] && echo port 22 && echo authorizedkeysfile {files}\n')
    program.chmod(0o755)
    panel.give({"root": [ADA]})
    said, _none = host.start("sh", "-c", f"{SBIN} && exec sh /etc/gestion/gestion-keys").communicate(
        timeout=60
    )
    assert b"holds what it should" in said, said
    words = "sshd does not read authorized_keys2: see AuthorizedKeysFile in sshd_config"
    assert panel.problem == (words if told else "none")
    assert not has_failed(words)


IN_THE_WAY = {
    "a link to what has no end": "rm {0}; ln -s /dev/zero {0}",
    "a pipe": "rm {0}; mkfifo {0}",
    "what its user cannot read": "chmod 0 {0}",
    "somebody else's file": "chown {1} {0}",
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_nobody_can_read_to_its_end_is_put_right_by_the_next_fetch(fetched, panel, what) -> None:
    file = authorized(fetched, "anna")
    subprocess.run(["sh", "-c", IN_THE_WAY[what].format(file, BEN)], check=True)
    assert fetched.run("--look")[0] == 4
    assert fetched.run()[0] == 0
    assert fetched.keys("anna") == f"{ADA}\n{BOB}\n"
    assert fetched.run("--look")[0] == 0
    aside = file.with_name("authorized_keys2.before-gestion")
    assert not aside.exists() or aside.stat().st_size < 1000
    assert sorted(path.name for path in file.parent.iterdir() if path != aside) == ["authorized_keys2"]
