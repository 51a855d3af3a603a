from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobs.masking import LONGEST_LINE, MASK, LineMaker, Masker

# What a person might choose or a program make; the mask's own character is no secret.
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="•\ufffd\x1b"), min_size=4, max_size=40)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="•\ufffd\x1b"), max_size=60)


def lines_of(masker: Masker, chunks: list[str]) -> list[str]:
    maker = LineMaker(masker)
    return [line for chunk in chunks for line in maker.feed(chunk)] + maker.finish()


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(SECRETS, min_size=1, max_size=4),
    st.lists(TEXT, min_size=2, max_size=6),
    st.lists(st.integers(0)),
)
def test_no_secret_is_shown_however_the_text_is_cut(secrets, parts, places):
    text = "".join(part + secrets[i % len(secrets)] for i, part in enumerate(parts))
    shown = "\n".join(lines_of(Masker(secrets), cut(text, places)))
    for secret in secrets:
        if "\n" not in secret and "\r" not in secret:
            assert secret not in shown


@given(st.text(st.sampled_from("abc \n"), max_size=80), st.lists(st.integers(0)))
def test_where_chunks_end_makes_no_difference(text, places):
    assert lines_of(Masker(), cut(text, places)) == lines_of(Masker(), [text])


@given(TEXT)
def test_lines_can_be_stored(text):
    for line in lines_of(Masker(), [text]):
        assert "\x00" not in line
        assert "\n" not in line
        line.encode()


def test_a_secret_is_masked_as_shell_url_and_json_write_it():
    masker = Masker(["p@ss \"w'rd"])
    for shown in ("p@ss \"w'rd", "'p@ss \"w'\"'\"'rd'", "p%40ss%20%22w%27rd", "p@ss \\\"w'rd"):
        assert MASK in masker.mask(f"<{shown}>")
        assert "w" not in masker.mask(f"<{shown}>")


def test_what_looks_like_a_secret_is_masked():
    masker = Masker()
    for line, hidden in {
        "PASSWORD=hunter22 next": "hunter22",
        "db_password: 'two words'": "two words",
        '{"api_key": "abc123"}': "abc123",
        "mysql --password hunter22 -u root": "hunter22",
        "Authorization: Bearer abcdefgh12345678": "abcdefgh",
        "postgres://gestion:hunter22@db/gestion": "hunter22",
        "use gst_0123456789abcdefghijklmn": "gst_0",
    }.items():
        assert hidden not in masker.mask(line), line
        assert MASK in masker.mask(line), line


def test_ordinary_words_stay():
    masker = Masker()
    for line in (
        "password: ",
        "The password was changed",
        "https://example.org:8006/api",
        "tokens left: 3 of 5",
    ):
        assert masker.mask(line).startswith(line[:12])


def test_a_private_key_is_left_out_from_its_first_line_to_its_last():
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
    text = f"before\n{key}\nafter\n"
    assert lines_of(Masker(), list(text)) == ["before", f"({MASK} private key)", "after"]


def test_a_secret_of_several_lines_is_masked_in_each():
    shown = lines_of(Masker(["first line\nsecond line"]), ["x first line\ny second line\n"])
    assert shown == [f"x {MASK}", f"y {MASK}"]


def test_a_progress_display_leaves_its_last_state():
    assert lines_of(Masker(), ["10%\r", "20%\r", "100%\r\n", "next"]) == ["100%", "next"]


def test_terminal_colours_are_taken_out():
    assert lines_of(Masker(["secret"]), ["\x1b[31msec\x1b[0mret\x1b[0m ok\n"]) == [f"{MASK} ok"]


def test_an_endless_line_is_cut_and_a_secret_at_the_cut_stays_masked():
    text = "a" * (LONGEST_LINE - 3) + "hunter22" + "b" * 100_000
    [line] = lines_of(Masker(["hunter22"]), cut(text, list(range(0, len(text), 999))))
    assert len(line) < LONGEST_LINE + 50
    assert "hunt" not in line


def test_what_was_cut_is_told_also_where_the_mask_makes_it_short():
    secret = "s" * 60
    text = secret * (LONGEST_LINE // 60 + 2)
    [line] = lines_of(Masker([secret]), [text, text])
    assert len(line) < LONGEST_LINE
    assert line.endswith("(line cut)")


def test_a_short_secret_of_one_line_is_masked_and_a_short_line_of_a_longer_one_is_not():
    assert Masker(["ab"]).mask("x ab y") == f"x {MASK} y"
    assert Masker(["long enough\nab"]).mask("x ab y long enough") == f"x ab y {MASK}"


def test_a_line_that_ends_at_a_carriage_return_is_whole():
    maker = LineMaker(Masker())
    assert maker.feed("abc\r") == []
    assert maker.feed("\n") == ["abc"]
