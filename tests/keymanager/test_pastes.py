"""Keys as mails, web pages, terminals and other programs have them: taken where they can be read in one way only."""

import subprocess
import textwrap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keymanager.bad_key import BadKey
from keymanager.key_urls import url_in
from keymanager.openssh import holds_private_key, parse_key, parse_keys
from keymanager.openssh_word import _good_blob
from tests.keymanager.fleets import ed25519_blob

KEY = f"ssh-ed25519 {ed25519_blob(b'somebody')}"
OTHER = f"ssh-ed25519 {ed25519_blob(b'other')} other"
RSA = f"ssh-rsa {_good_blob('ssh-rsa')} ada@laptop"


def wrapped(text: str, width: int, end: str = "\n") -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def blocks(folder, kind: str) -> dict[str, str]:
    """A new key's public half as ssh-keygen writes it for other programs."""
    path = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    forms = ("RFC4716", "PKCS8", "PEM")
    argv = {form: ["ssh-keygen", "-e", "-m", form, "-f", f"{path}.pub"] for form in forms}
    return {
        form: subprocess.run(argv[form], capture_output=True, text=True, check=True).stdout for form in forms
    }


def test_a_block_may_be_indented_and_have_any_line_ends(tmp_path):
    for block in blocks(tmp_path, "rsa").values():
        (plain,) = parse_keys(block)
        lines = block.split("\n")
        for text in (
            "\n".join(f"    {line}" for line in lines),
            "\n".join(f"\t{line}  " for line in lines),
            "\r".join(lines),
            "\r\r\n".join(lines),
        ):
            assert parse_keys(text) == [plain]


def test_a_dsa_key_is_of_a_kind_that_openssh_takes_no_more_in_whichever_form(tmp_path):
    for block in blocks(tmp_path, "dsa").values():
        with pytest.raises(BadKey, match="OpenSSH no longer takes"):
            parse_keys(block)


def test_the_line_that_is_named_is_the_one_of_the_text(tmp_path):
    block = blocks(tmp_path, "rsa")["RFC4716"]
    number = block.count("\n") + 1
    with pytest.raises(BadKey, match=f"^Line {number}: "):
        parse_keys(f"{block}no key\n")
    text = wrapped(RSA, 72)
    with pytest.raises(BadKey, match=f"^Line {text.count(chr(10)) + 2}: "):
        parse_keys(f"{text}\nno key\n")


WRAPPED = {
    "by a mail program": wrapped(RSA, 72),
    "as format=flowed": wrapped(RSA, 72, " \n"),
    "indented": wrapped(RSA, 72, "\n    "),
    "for a shell": wrapped(RSA, 72, "\\\n"),
    "after its type": RSA.replace(" ", "\n", 1),
    "before another": f"{wrapped(RSA, 72)}\n{OTHER}",
    "after another": f"{OTHER}\n{wrapped(RSA, 72)}",
    "twice": f"{wrapped(RSA, 72)}\n\n{wrapped(RSA, 60)}",
    "with options": wrapped(f"no-pty,no-user-rc {RSA}", 66),
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_a_key_that_was_broken_into_lines_is_put_together(text):
    found = parse_keys(text)
    assert {key.blob for key in found if key.type == "ssh-rsa"} == {RSA.split()[1]}
    assert len(found) == 1 + ("other" in text) + (text == WRAPPED["twice"])
    assert all(key.comment in ("ada@laptop", "other") for key in found)
    assert any(key.options for key in found) == text.startswith("no-pty")


@settings(max_examples=100, deadline=None)
@given(st.integers(9, 800))
def test_wherever_a_key_is_broken_it_is_that_key_or_none(width):
    try:
        keys = parse_keys(wrapped(RSA, width))
    except BadKey:
        return
    assert [(key.blob, key.comment) for key in keys] == [(RSA.split()[1], "ada@laptop")]


@pytest.mark.parametrize("name", ["ada@laptop", "eddsa-key-20261201", "büro.local"])
@pytest.mark.parametrize("width", [60, 72, 76, 78, 85])
def test_a_key_that_a_mail_program_broke_at_its_blanks_keeps_its_name(name, width):
    for end in ("\n", " \n", "\r\n", "\n    "):
        for key in (f"{KEY} {name}", f"no-pty {KEY} {name}"):
            lines = textwrap.wrap(key, width, break_long_words=False, break_on_hyphens=False)
            found = parse_keys(f"{end.join(lines)}\n{OTHER}")
            assert [found[0].line, found[1].line] == [key, OTHER]


@pytest.mark.parametrize(
    "below",
    [
        "ada at home",
        "regards",
        "no-pty",
        OTHER.split()[1],
        "ssh-ed25519",
        "sk-ssh-ed25519@openssh.com",
        'from="a.b"',
    ],
)
def test_what_is_no_name_below_a_key_is_not_taken_for_one(below):
    with pytest.raises(BadKey, match="Line 2: "):
        parse_keys(f"{KEY}\n{below}")


NOT_TOGETHER = {
    "cut": (wrapped(RSA[:400], 72), "If it is broken into several lines"),
    "with empty lines": (wrapped(RSA, 72, "\n\n"), "If it is broken into several lines"),
    "options alone": (f"no-pty\n{KEY}", "Line 1: Options stand in the line of their key"),
    "options broken": (f'from="192.0.2.1",\nno-pty {KEY}', "Line 1: Options stand in the line of their key"),
    "its comment": (f"{KEY} ada at her\nown laptop", "Line 2: This is not a public key"),
}


@pytest.mark.parametrize(("text", "said"), NOT_TOGETHER.values(), ids=NOT_TOGETHER)
def test_what_may_be_read_in_several_ways_is_refused_with_what_to_do(text, said):
    with pytest.raises(BadKey, match=said):
        parse_keys(text)


@pytest.mark.parametrize(
    "options",
    [
        "no-pty, no-user-rc",
        "no-pty ,no-user-rc",
        "no-pty no-user-rc",
        'command="a b", no-pty',
        "restrict, pty",
    ],
)
def test_a_blank_within_the_options_is_told_as_that(options):
    with pytest.raises(BadKey, match="There is a blank within the options"):
        parse_key(f"{options} {KEY}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("command=id -un", "straight double quotes"),
        ('command = "id -un"', "“command” is not known, or not written as"),
        ('from ="192.0.2.1"', "“from” is not known, or not written as"),
        ('command="id', "no closing quote"),
        (r'command="id\"', "no closing quote"),
        ("from=“192.0.2.1”", "straight double quotes"),
        ("no-pty;no-user-rc", "cannot be read after “no-pty”"),
    ],
)
def test_options_that_end_elsewhere_than_it_looks_are_told_by_their_own_fault(options, said):
    with pytest.raises(BadKey, match=said):
        parse_key(f"{options} {KEY}")


@pytest.mark.parametrize("blank", ["\t", "\xa0", "\u3000", "\u2009", " \t "])
def test_any_blank_parts_a_key_and_none_within_quotes_is_changed(blank):
    key = parse_key(f'{blank}command="a\xa0b"{blank}{KEY}{blank}ada'.replace("25519 ", f"25519{blank}"))
    assert key.line == f'command="a\xa0b" {KEY} ada'
    assert parse_keys(f"{KEY}\n{blank}\n{blank}# x\n")[0].line == KEY


@pytest.mark.parametrize("page", ["cp1252", "cp850", "cp437"])
def test_a_byte_order_mark_is_taken_out_as_windows_shows_it_too(tmp_path, page):
    shown = "\ufeff".encode().decode(page)
    block = blocks(tmp_path, "rsa")["RFC4716"]
    for text in (KEY, f"{KEY}\r\n{shown}{OTHER}", block):
        assert parse_keys(shown + text) == parse_keys(text.replace(shown, ""))


def test_marks_of_no_width_around_a_line_are_taken_out_and_those_within_refused():
    assert [key.line for key in parse_keys(f"\u200b{KEY}\u200b\n\ufeff{OTHER}\u2060\n")] == [KEY, OTHER]
    with pytest.raises(BadKey, match=r"U\+200B"):
        parse_keys(f"{KEY[:30]}\u200b{KEY[30:]}")


@pytest.mark.parametrize("between", [" ", ",", "; ", "\t"])
def test_two_keys_in_a_line_are_not_taken_for_one_with_a_comment(between):
    with pytest.raises(BadKey, match="another key in the comment"):
        parse_keys(f"{KEY} ada{between}{OTHER}")


@pytest.mark.parametrize("typed", ["SSH-ED25519", "ssh–ed25519", "Ssh—Ed25519", "ssh‑ed25519"])
def test_a_type_that_a_text_program_changed_is_told_as_it_should_be(typed):
    with pytest.raises(BadKey, match="Write “ssh-ed25519”"):
        parse_keys(KEY.replace("ssh-ed25519", typed))


@pytest.mark.parametrize(
    "text",
    [
        "please add my key",
        f"<pre>{KEY}</pre>",
        f'"{KEY}"',
        "256 SHA256:abc ada (ED25519)",
        '[{"key": "x"}]',
        f'[{{"key": "{KEY}"}}]',
        KEY[12:],
    ],
)
def test_what_is_no_key_is_told_as_that(text):
    with pytest.raises(BadKey, match="This is not a public key"):
        parse_keys(text)


@pytest.mark.parametrize("kind", ["CERTIFICATE", "PGP PUBLIC KEY BLOCK", "CERTIFICATE REQUEST"])
def test_a_block_of_another_kind_is_told_as_that(kind):
    with pytest.raises(BadKey, match=kind):
        parse_keys(f"-----BEGIN {kind}-----\n\nAAAA\n-----END {kind}-----\n")


def test_a_private_key_is_known_also_by_a_part_of_it(tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    private = path.read_text()
    for text in (
        private,
        "\n".join(private.split("\n")[1:-2]),
        private.replace(" ", "\xa0"),
        "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\n",
        "Private-Lines: 1\nAAAA\nPrivate-MAC: 00\n",
    ):
        assert holds_private_key(text)
        with pytest.raises(BadKey, match="private key"):
            parse_keys(f"{KEY}\n{text}")


@pytest.mark.parametrize(
    "typed",
    ["<https://git.example.org/jane.keys>", " https://git.example.org/jane.keys \n", '"https://git.example.org/jane.keys"',
     "HTTPS://git.example.org/jane.keys", "\xa0https://git.example.org/jane.keys#top"],
)  # fmt: skip
def test_an_address_is_taken_as_mails_set_it_apart(typed):
    assert url_in(typed).removeprefix("https://") == "git.example.org/jane.keys"


HOSTILE = {
    "blocks that begin": "---- BEGIN SSH2 PUBLIC KEY ----\n" * 6000,
    "PEM blocks that begin": "-----BEGIN PUBLIC KEY-----\n" * 7000,
    "headers that go on": "---- BEGIN SSH2 PUBLIC KEY ----\na:"
    + "b\\\n" * 60_000
    + "---- END SSH2 PUBLIC KEY ----",
    "pieces": "ssh-rsa AAAA\n" + "B\n" * 90_000,
    "beginnings": ("ssh-rsa AAAA\n" + "B\n" * 300) * 300,
    "marks": f"x{chr(0x200B) * 190_000}x",
    "carriage returns": "\r" * 190_000 + "x",
    "blanks": f"x{' ' * 190_000}x",
    "quotes": '"' * 19_000 + "\n" + '\\"' * 9_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_paste_keeps_the_panel_busy(text):
    began = time.process_time()
    with pytest.raises(BadKey):
        parse_keys(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "behind",
    [
        'from="192.0.2.7"', "from=192.0.2.7", 'ann from="192.0.2.7"', "no-pty", "No-Pty,no-user-rc ann", "restrict",
        'restrict,command="/usr/bin/rrsync -ro /srv"', 'command="true" ann', "ann expiry-time=20270101",
        "cert-authority", 'ann,environment="A=b"',
    ],
)  # fmt: skip
def test_options_behind_a_key_are_no_comment_because_they_would_count_for_nothing(behind):
    for text in (f"{KEY} {behind}", f"{OTHER}\n{KEY} {behind}\n"):
        with pytest.raises(BadKey, match="behind the key"):
            parse_keys(text)


@pytest.mark.parametrize(
    "comment",
    [
        "ann, from home", "restrictive key", "key no-pty", "no-ptys", "x-from=1", "command line", "pty",
        "ann@web (restrict)", "environment: test",
    ],
)  # fmt: skip
def test_a_comment_may_have_an_options_name_in_it(comment):
    assert parse_keys(f"{KEY} {comment}")[0].comment == comment


def test_a_second_key_in_a_line_is_named_however_long_it_is():
    for between in (" ", "\t", "; ", ", ", "\\n"):
        with pytest.raises(BadKey, match="another key in the comment"):
            parse_keys(f"{KEY} ann{between}{RSA}")
