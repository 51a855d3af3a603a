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
from samba.names import (
    free_user,
    is_user,
    same_name,
    validate_comment,
    validate_share_folder,
    validate_share_name,
)
from samba.services.shares import create_share
from servers.models import Server
from tests.samba.conftest import SYSTEM
from tests.samba.smb_conf_reader import sections, served_path, shown_comment

BAD_NAMES = [
    "", "global", "GLOBAL", "glo bal", "globals", "homes", "Printers", "IPC$", "print$", "ADMIN$", "a]", "[alt]", "a\n",
    "a\nb", "a/b", "a\\b", "..", ".", "a.", " a", "a ", "a  b", "%u", "100%", "a;b", "a=b", "a:b", 'a"b', "a\0",
    "a\u2028b", "a\u200bb", "+g", "a,b", "a|b", "a<b", "a?b", "a*b",
]  # fmt: skip
GOOD_NAMES = [
    "photos", "Fotos-José", "bd photos", "data$", "Übergabe", "Buchhaltung 2024", "R&D", "it's", "#x", "~snap", "-lead",
    ".hidden", "a.b", "print", "x(1)!", "@all", "a`b{c}^", "ファイル", "経理　資料", "😀", "👨‍👩‍👧", "x" * 80,
    "😀" * 40, "٣", "a-", "C$",
]  # fmt: skip
BAD_FOLDERS = [
    "", "/", "/etc", "..", "../x", "a/..", "a/../b", ".", "./a", "a//b", "a/", "%u", "a%Sb", "a%$(x)", "a%%b", "a\nb",
    "a\n", "a\tb", "a  b", "a\0b", "x" * 256, "ä" * 128, "lost+found", "a/lost+found",
]  # fmt: skip
GOOD_FOLDERS = [
    "photos", "Carols Pics", "team/photos", ".hidden", "a/.b", "-a", "a/-b", "a b", " a", "a ", "a\\", "a;b", 'a"b',
    '"a"', "ä", "a\u0308", "100%", "50% off", "[alt]", "#x", "a]b", "it's", "x" * 255, "ä" * 127, "names.", "$(id)",
]  # fmt: skip
BAD_COMMENTS = [
    "%u", "50%off", "a\nb", "a\rpath = /", "a\0", " a", "a\u2028b", "a\x85b", "a  b", '"', '""', '"a\\', "%%m", "%%mm",
]  # fmt: skip
GOOD_COMMENTS = [
    '"quoted"', '"a', 'a"', 'say "x"', '"a" and "b"', '""a""', "ends\\", "C:\\x", '"a"\\', "100%", "50 % off", "# x",
    "; x", "[x]", "a = b", "Famille «é»", "日本語 😀", "it's", "%", 'a\\"', "x" * 100,
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_can_be_no_share(name):
    with pytest.raises(ValidationError):
        validate_share_name(name)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_what_offices_call_their_shares(name):
    validate_share_name(name)


@pytest.mark.parametrize("folder", GOOD_FOLDERS)
def test_what_lies_on_disks(folder):
    validate_share_folder(folder)
    (share,) = sections(shares_text([Wanted(**{**WANTED, "folder": folder})]))
    assert served_path(share[1]["path"]) == f"/srv/{folder}"


@pytest.mark.parametrize("comment", GOOD_COMMENTS)
def test_a_comment_is_shown_as_typed(comment):
    validate_comment(comment)
    (share,) = sections(shares_text([Wanted(**{**WANTED, "comment": comment})]))
    assert shown_comment(share[1]["comment"]) == comment


@pytest.mark.parametrize(
    ("name", "taken", "user"),
    [
        ("photos", (), "smb-photos"),
        ("a--b_c", (), "smb-a--b_c"),
        ("x" * 28, (), "smb-" + "x" * 28),
        ("x" * 29, (), "smb-" + "x" * 28),
        ("x" * 40, ("smb-" + "x" * 28,), "smb-" + "x" * 26 + "-2"),
        ("Fotos-José", (), "smb-fotos-jose"),
        ("Fotos-José", ("smb-fotos-jose", "smb-fotos-jose-2"), "smb-fotos-jose-3"),
        ("Straße 5", (), "smb-strasse-5"),
        ("data$", (), "smb-data"),
        ("ファイル", (), "smb-share"),
        ("😀", ("smb-share",), "smb-share-2"),
        ("-rf", (), "smb-rf"),
        ("R&D", (), "smb-r-d"),
    ],
)
def test_the_user_of_a_share_is_one_that_linux_takes(name, taken, user):
    assert free_user("smb-", name, taken) == user


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("photos", "PHOTOS"),
        ("José", "JOSE\u0301"),
        ("ΣΑΣ", "σασ"),
        ("ΣΑΣ", "σας"),
        ("Ärzte", "ärzte"),
        ("ДОМ", "дом"),
    ],
)
def test_names_that_are_one_to_clients(one, other):
    assert same_name(one) == same_name(other)


@given(st.text(max_size=90), st.sets(st.sampled_from(["smb-share", "smb-a", "smb-a-2", "smb-b"])))
def test_whatever_the_name_the_user_is_one_and_free(name, taken):
    user = free_user("smb-", name, taken)
    assert is_user(user)
    assert user not in taken
    assert user.startswith("smb-")
    assert len(user) > 4


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
    [{"name": name} for name in BAD_NAMES if not {"\0", "\u2028", "\u200b"} & set(name) and name != "glo bal"]
    + [{"folder": name} for name in BAD_FOLDERS if "\0" not in name and len(name) < 99 and "lost" not in name]
    + [{"user": "-r"}, {"user": "a\nb"}, {"user": "@x"}, {"comment": "%u"}, {"comment": "a\nb"}],
)
def test_the_database_takes_none_of_them(rows, bad):
    fields = {"server": rows.files1, "name": "a", "user": "smb-a", "folder": "a", "secret_mark": "", **bad}
    with pytest.raises(IntegrityError), transaction.atomic():
        Share.objects.create(**fields)


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["a", "b", "team/a", *BAD_NAMES, *BAD_FOLDERS, *BAD_COMMENTS, *GOOD_NAMES, *GOOD_FOLDERS, *GOOD_COMMENTS]
)


class Hostile(TestCase):
    """Whatever is typed into the form, Samba reads one share with its own name, folder, user and comment."""

    @settings(max_examples=200, deadline=None)
    @given(HOSTILE, HOSTILE, HOSTILE, st.booleans())
    def test_typed(self, name, folder, comment, adopt):
        server = Server.objects.create(
            name="files1", keymanager_name="f", samba_management=True, samba_base_folder="/srv/shares"
        )
        values = {"server": server.pk, "name": name, "folder": folder, "comment": comment}
        form = ShareForm({**values, "adopt": "on"} if adopt else values)
        if not form.is_valid():
            return
        try:
            share = create_share(SYSTEM, form.filled())
        except ValidationError:
            return
        assert share.folder == (folder.removesuffix("/") if adopt and folder.strip() else share.folder)
        wanted = shares_on(server)
        ((section, read),) = sections(shares_text(wanted))
        assert section == share.name
        assert served_path(read["path"]) == f"/srv/shares/{share.folder}"
        assert shown_comment(read.get("comment", "")) == share.comment
        assert (read["valid users"], read["guest ok"], read["wide links"]) == (share.user, "no", "no")
        assert len(read) == (PARAMETERS if share.comment else PARAMETERS - 1)
        row = next(line for line in table_text(wanted).split("\n") if "\t" in line)
        assert row.split("\t")[0] == share.name
        assert row.split("\t")[5:] == ["/srv/shares", share.folder]


PARAMETERS = 13  # of a share with a comment
WANTED = {
    "share": "a", "user": "smb-a", "base": "/srv", "folder": "a", "comment": "", "read_only": False, "active": True,
    "adopt": False, "hash": "-",
}  # fmt: skip


@given(
    st.sampled_from(["share", "user", "base", "folder", "hash"]),
    st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: f"{text}\n{text}")
    | st.sampled_from(["", "%u", "..", "a\tb", "a\0", "a  b"]),
)
def test_what_no_form_let_through_is_still_not_written(field, value):
    wanted = [Wanted(**{**WANTED, field: value})]
    with pytest.raises(NotWritable):
        shares_text(wanted) + table_text(wanted)
