"""Names that could be read as anything else than a share, and what the files make of those that are taken."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from samba.configs import NotWritable
from samba.desired_shares import Wanted, shares_on, shares_text, table_text
from samba.forms.shares import ShareForm
from samba.models import Share
from samba.names import validate_comment, validate_share_folder, validate_share_name
from samba.services.shares import create_share
from servers.models import Server
from tests.samba.conftest import SYSTEM

BAD_NAMES = [
    "", "global", "homes", "printers", "ipc$", "print$", "admin", "-a", "a-", "a]", "[a", "a\n", "a\nb", "a b", "a/b",
    "..", "%u", "a%S", "a;b", "a=b", "A", "ä", "a\0", "a\u2028b", "@group", "+g", "a.b", "٣",
]  # fmt: skip
BAD_FOLDERS = [
    "", "/", "/etc", "..", "../x", "a/..", "a/../b", ".", "./a", ".hidden", "a/.b", "a//b", "a/", "-a", "a/-b",
    "%u", "a%Sb", "a b", "a\nb", "a\n", "a\tb", "a\\", "a;b", 'a"b', "ä", "a\0b", "x" * 256,
]  # fmt: skip
BAD_COMMENTS = [
    "%u",
    "a\nb",
    "a\\",
    "a\rpath = /",
    "a\0",
    " a",
    "a\u2028b",
    "a\x85b",
    "a  b",
    '"a"',
    '"a',
    'a"',
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_can_be_no_share(name):
    with pytest.raises(ValidationError):
        validate_share_name(name)


@pytest.mark.parametrize("folder", BAD_FOLDERS)
def test_what_can_be_no_folder(folder):
    with pytest.raises(ValidationError):
        validate_share_folder(folder)


@pytest.mark.parametrize("comment", BAD_COMMENTS)
def test_what_can_be_no_comment(comment):
    with pytest.raises(ValidationError):
        validate_comment(comment)


@pytest.mark.services
@pytest.mark.django_db
@pytest.mark.parametrize(
    "bad",
    [{"name": name} for name in BAD_NAMES if "\0" not in name]
    + [{"folder": folder} for folder in BAD_FOLDERS if "\0" not in folder and len(folder) < 200]
    + [{"user": "-r"}, {"user": "a\nb"}, {"user": "@x"}, {"comment": "%u"}, {"comment": "a\nb"}],
)
def test_the_database_takes_none_of_them(rows, bad):
    fields = {"server": rows.files1, "name": "a", "user": "smb-a", "folder": "a", "secret_mark": "", **bad}
    with pytest.raises(IntegrityError), transaction.atomic():
        Share.objects.create(**fields)


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["a", "b", "team/a", *BAD_NAMES, *BAD_FOLDERS, *BAD_COMMENTS]
)
PARAMETERS = 14  # lines of a share with a comment


class Hostile(TestCase):
    """Whatever is typed into the form, the files keep their structure."""

    @settings(max_examples=200, deadline=None)
    @given(HOSTILE, HOSTILE, HOSTILE)
    def test_typed(self, name, folder, comment):
        server = Server.objects.create(
            name="files1", keymanager_name="f", samba_management=True, samba_base_folder="/srv/shares"
        )
        form = ShareForm({"server": server.pk, "name": name, "folder": folder, "comment": comment})
        if not form.is_valid():
            return
        try:
            share = create_share(SYSTEM, form.filled())
        except ValidationError:
            return
        wanted = shares_on(server)
        lines = [line for line in shares_text(wanted).splitlines()[1:] if line]
        assert lines[0] == f"[{share.name}]"
        assert len(lines) == (PARAMETERS if share.comment else PARAMETERS - 1)
        assert all(line.startswith("   ") and " = " in line for line in lines[1:])
        assert f"   path = /srv/shares/{share.folder}" in lines
        assert "%" not in "".join(lines)
        rows = table_text(wanted).splitlines()[1:]
        assert [row.split("\t")[0] for row in rows] == [share.name]
        assert len(rows[0].split("\t")) == 7


WANTED = {
    "share": "a", "user": "smb-a", "base": "/srv", "folder": "a", "comment": "", "read_only": False, "active": True,
    "adopt": False, "hash": "-",
}  # fmt: skip


@given(
    st.sampled_from(["share", "user", "base", "folder", "hash"]),
    st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: f"{text}\n{text}")
    | st.sampled_from(["", "%u", "a\\", "..", "a\tb", "[a]", "a\0"]),
)
def test_what_no_form_let_through_is_still_not_written(field, value):
    wanted = [Wanted(**{**WANTED, field: value})]
    with pytest.raises(NotWritable):
        shares_text(wanted) + table_text(wanted)
