"""The files on the hosts, as bytes."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.state import Absent, File
from keymanager.desired import CONF, CRON, SCRIPT, SIGNERS, Fetch, install_text, keys_state, minute_of
from keymanager.protocol import FIRST, LAST, clean_line, content_of, server_message

GOLDEN = Path(__file__).resolve().parents[1] / "golden/keymanager"
FETCH = Fetch(
    url="https://gestion.example.org/",
    name="web1",
    token="gsk_example-token_0123456789",
    signers='gestion namespaces="gestion-keys@gestion,gestion-user-keys@gestion" ssh-ed25519 AAAAexample\n',
    minute=17,
    resolve="gestion.example.org:443:10.0.0.5",
)


def made(fetch: Fetch = FETCH) -> dict[str, File]:
    return {item.path: item for item in keys_state(fetch).items if isinstance(item, File)}


def test_the_generated_files_are_the_golden_ones() -> None:
    assert made()[CONF].content == (GOLDEN / "keys.conf").read_bytes()
    assert made()[CRON].content == (GOLDEN / "gestion-keys.cron").read_bytes()


def test_only_root_can_read_the_token() -> None:
    assert (made()[CONF].mode, made()[CONF].secret, made()[CONF].owner) == (0o600, True, "root")
    assert not any(b"gsk_" in made()[path].content for path in (SCRIPT, SIGNERS, CRON))


def test_the_script_is_valid_sh_and_knows_the_same_markers() -> None:
    script = made()[SCRIPT].content
    assert subprocess.run(["sh", "-n"], input=script, check=False).returncode == 0
    assert FIRST.strip() in script
    assert LAST.strip() in script


def test_nothing_is_undone_by_running_what_is_gone() -> None:
    state = keys_state(FETCH)
    assert state.put_back == ()
    assert not any(isinstance(item, Absent) for item in state.items)


@pytest.mark.parametrize("field", ["url", "name", "token", "resolve"])
def test_a_value_that_would_begin_another_line_is_refused(field: str) -> None:
    values = {**FETCH.__dict__, field: "x\nplain_http=yes"}
    with pytest.raises(ValueError, match="takes no"):
        keys_state(Fetch(**values))


def test_the_fleet_spreads_over_the_hour() -> None:
    minutes = {minute_of(f"s{number}.example.org") for number in range(1000)}
    assert minutes == set(range(60))
    assert minute_of("web1") == minute_of("web1")


def test_the_script_to_paste_brings_the_same_files(tmp_path: Path) -> None:
    text = install_text(FETCH)
    assert subprocess.run(["sh", "-n"], input=text.encode(), check=False).returncode == 0
    for path, file in made().items():
        block = re.search(
            rf"^put {re.escape(path)} {file.mode:04o} <<'END'\n(.*?)\nEND$", text, re.MULTILINE | re.DOTALL
        )
        assert block, path
        done = subprocess.run(["base64", "-d"], input=block[1].encode(), capture_output=True, check=True)
        assert done.stdout == file.content


@given(st.text())
def test_no_comment_breaks_a_line(comment: str) -> None:
    line = clean_line(f"ssh-ed25519 AAAAC3Nz {comment}")
    if line is not None:
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert not any(byte < 32 for byte in line[:-1])


@given(
    st.dictionaries(
        st.sampled_from(["root", "a", "b", "www-data"]), st.lists(st.sampled_from("xyz"), max_size=4)
    )
)
def test_a_content_holds_every_users_lines_and_counts_them(users: dict[str, list[str]]) -> None:
    given_lines = {user: tuple(f"{line}\n".encode() for line in lines) for user, lines in users.items()}
    content = content_of(given_lines)
    parts = server_message("web1", 1, content)
    assert parts[2:-1] == content.parts
    for user, lines in given_lines.items():
        start, end = content.spans[user]
        assert content.parts[start:end] == lines
    assert content.etag == content_of(dict(reversed(given_lines.items()))).etag
