"""A share that the files cannot say keeps no other from its server, and is never served without what guards it."""

from functools import partial

import pytest
from django.core.exceptions import ValidationError

from hosts.state import File
from samba.configs import NotWritable
from samba.desired_shares import KIND, Wanted, desired, shares_text, table_text, writable
from samba.models import Share
from servers import rollouts
from servers.foretelling import foretell
from servers.models import Server
from servers.services.inventory import change_server
from tests.samba.conftest import SYSTEM

pytestmark = pytest.mark.django_db
GOOD = Wanted("good", "smb-good", "/srv", "good", "", False, True, False, "-")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("share", "global"),
        ("share", "a]"),
        ("user", "@all"),
        ("user", "-r"),
        ("folder", "../etc"),
        ("hash", "x"),
    ],
)
def test_what_would_be_served_without_its_guard_is_not_served(field, value):
    bad = Wanted(**{**vars(GOOD), "share": "bad", "user": "smb-bad", "folder": "bad", field: value})
    good, left_out = writable([bad, GOOD])
    assert good == [GOOD]
    assert len(left_out) == 1
    assert bad.share in left_out[0]
    assert shares_text(good).count("[") == 1
    assert table_text(good).count("\tsmb-") == 1


@pytest.mark.parametrize("comment", ["50%u", "a  b", "a\tb", "a\u2028b", '"'])
def test_a_share_whose_comment_cannot_be_written_goes_on_without_it_and_it_is_told(rows, comment):
    rows.share("good", comment="of all")
    rows.share("old")
    if set(comment) & {"%", "\t"} or "  " in comment:  # which the database does not hold
        good, left_out = writable([GOOD, Wanted(**{**vars(GOOD), "share": "old", "comment": comment})])
        assert [share.comment for share in good] == ["", ""]
        assert "old" in left_out[0]
        return
    Share.objects.filter(name="old").update(comment=comment)
    state = desired(rows.files1)
    file = next(item for item in state.items if item.path == "/etc/smb.shares.conf")
    assert isinstance(file, File)
    text = file.content.decode()
    assert "[old]" in text
    assert text.count("valid users = ") == 2
    assert text.count("comment = ") == 1
    (told,) = state.left_out
    assert "old" in told


def test_a_base_folder_that_samba_reads_as_another_one_leaves_all_as_it_is(rows):
    rows.share("photos")
    Server.objects.filter(pk=rows.files1.pk).update(samba_base_folder="/srv/my  shares")
    rows.files1.refresh_from_db()
    with pytest.raises(NotWritable, match="base folder"):
        desired(rows.files1)
    asking = partial(rollouts.ask, SYSTEM, rows.files1, [KIND], "why")
    assert foretell(asking) == []  # what a form shows before it is saved


@pytest.mark.parametrize("folder", ["/srv/my  shares", "/srv/50%", "/srv/a\\b", "/srv/a ", '/srv/a"'])
def test_a_base_folder_that_samba_reads_as_another_one_is_refused_at_the_server(rows, folder):
    rows.files2.samba_base_folder = folder
    with pytest.raises(ValidationError) as refused:
        change_server(SYSTEM, rows.files2, version=rows.files2.version)
    assert set(refused.value.message_dict) == {"samba_base_folder"}
