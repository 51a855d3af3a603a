"""Passwords of shares: deterministic, as documented, and of no use to anybody without the secret."""

import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samba.md4 import md4
from samba.passwords import NoShareSecret, nt_hash, secret_mark, share_password

DOCS = Path(__file__).parent.parent.parent / "docs/samba.md"


def test_md4_of_the_rfc():
    """RFC 1320, appendix A.5."""
    assert md4(b"").hex() == "31d6cfe0d16ae931b73c59d7e0c089c0"
    assert md4(b"message digest").hex() == "d9130a8164549fe818874806e1c7014b"
    assert md4(b"1234567890" * 8).hex() == "e33b4ddc9c38f2199c3e7b164fcc0536"


def test_the_hash_is_the_one_of_windows():
    assert nt_hash("password") == "8846F7EAEE8FB117AD06BDD830B7586C"


def test_the_documented_script_computes_the_same(settings):
    settings.SAMBA_SECRET_KEY = "example-secret-of-the-documentation-0123456789"
    uuid = "11111111-2222-4333-8444-555555555555"
    text = DOCS.read_text()
    script = re.search(r"```python\n(import base64.*?)```", text, re.DOTALL)
    assert script
    done = subprocess.run(
        [sys.executable, "-c", script[1], uuid, "1"],
        env={"SAMBA_SECRET_KEY": settings.SAMBA_SECRET_KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == share_password(UUID(uuid), 1)
    assert share_password(UUID(uuid), 1) in text


@given(st.uuids(), st.integers(1, 10**6), st.integers(1, 10**6))
def test_another_number_is_another_password(uuid, one, other):
    password = share_password(uuid, one)
    assert re.fullmatch(r"[A-Z2-7]{24}", password)
    assert (password == share_password(uuid, other)) == (one == other)


def test_another_secret_is_another_password(settings):
    uuid = uuid4()
    before, mark = share_password(uuid, 1), secret_mark()
    settings.SAMBA_SECRET_KEY = "another-" * 6
    assert share_password(uuid, 1) != before
    assert secret_mark() != mark


def test_without_a_secret_there_is_none(settings):
    settings.SAMBA_SECRET_KEY = ""
    with pytest.raises(NoShareSecret, match="SAMBA_SECRET_KEY"):
        share_password(uuid4(), 1)
