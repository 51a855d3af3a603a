"""What the services let through, write down and have rolled out."""

import threading
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import AuditEntry
from backups.models import Backup, LeftData
from backups.rules import problems
from hosts.state import File
from jobs.models import Job
from samba.desired_shares import KEEP, desired, shares_on
from samba.models import Share
from samba.passwords import NoShareSecret, secret_mark, share_password
from samba.services import shares as services
from servers.foretelling import foretell
from servers.models import Rollout, Server
from servers.services.inventory import change_server
from tests.samba.conftest import SYSTEM

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def errors(share: Share) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        services.create_share(SYSTEM, share)
    return set(caught.value.message_dict)


def test_a_share_gets_user_and_folder_from_its_name(rows):
    share = rows.share("photos")
    assert (share.user, share.folder, share.path) == ("smb-photos", "photos", "/srv/shares/photos")
    assert Rollout.objects.get().kind == "samba"
    assert AuditEntry.objects.filter(verb="share.create").count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "photos"}, "name"),
        ({"name": "b", "folder": "photos"}, "folder"),
        ({"name": "b", "folder": "photos/inner"}, "folder"),
        ({"name": "team"}, "folder"),
        ({"name": "x" * 81}, "name"),
        ({"name": "Photos"}, "name"),
        ({"name": "b", "folder": "../etc"}, "folder"),
        ({"name": "homes"}, "name"),
        ({"name": "b", "comment": "%u"}, "comment"),
    ],
)
def test_what_is_in_the_way_is_told_by_its_field(rows, fields, field):
    rows.share("photos")
    rows.share("a", folder="team/a")
    assert field in errors(rows.unsaved(**fields))
    assert Share.objects.count() == 2


def test_names_that_are_one_to_clients_are_one(rows):
    rows.share("Jos\u00e9")
    for name in ("jos\u00e9", "JOS\u00c9", "Jose\u0301"):
        assert errors(rows.unsaved(name, folder="other")) == {"name"}
    rows.share("Jose")


def test_a_share_that_gets_another_name_keeps_user_folder_and_password(rows):
    share = rows.share("photos")
    word = services.show_password(SYSTEM, share)
    renamed = Share(pk=share.pk, server=share.server, name="Fotos Jos\u00e9")
    services.change_share(SYSTEM, renamed, version=1)
    now = Share.objects.get()
    assert (now.name, now.user, now.folder) == ("Fotos Jos\u00e9", "smb-photos", "photos")
    assert services.show_password(SYSTEM, now) == word
    other = rows.share("photos", folder="others")
    assert other.user == "smb-photos-2"
    with pytest.raises(ValidationError):
        services.change_share(
            SYSTEM, Share(pk=other.pk, server=other.server, name="FOTOS JOS\u00c9"), version=1
        )


def test_neighbours_and_other_servers_are_not_in_the_way(rows):
    rows.share("photos")
    rows.share("photos2")
    rows.share("b", folder="team/a")
    rows.share("c", folder="team/ab")
    rows.share("photos", server=rows.files2)


def test_only_where_samba_is_managed_and_the_base_can_be_written(rows):
    assert errors(rows.unsaved(server=rows.web1)) == {"server"}
    Server.objects.filter(pk=rows.files1.pk).update(samba_base_folder="/srv/%u")
    rows.files1.refresh_from_db()
    assert errors(rows.unsaved()) == {"server"}


@pytest.mark.parametrize("where", ["/srv/shares/copies", "/srv/shares/copies/web1", "/srv/shares"])
def test_a_folder_with_copies_of_a_backup_is_not_taken_over(rows, where):
    """Its files were given to the share's user: none could be restored as it was, and clients could read them."""
    source = rows.web1
    backup = Backup.objects.create(source=source, destination=rows.files1, destination_folder=where)
    folder = "copies"
    assert errors(rows.unsaved("copies", folder=folder, adopt=True)) == {"folder"}
    backup.delete()
    LeftData.objects.create(uuid=uuid4(), destination=rows.files1, folder=where, of="web1:/")
    assert errors(rows.unsaved("copies", folder=folder, adopt=True)) == {"folder"}
    LeftData.objects.update(folder="/srv/shares2/copies")
    rows.share("copies", folder=folder, adopt=True)
    assert set(problems(Backup(source=source, destination=rows.files1, destination_folder=where))) == {
        "destination_folder"
    }


def test_a_unix_user_of_the_keymanager_is_not_taken(rows):
    rows.files1.unix_users.create(name="smb-photos")
    assert errors(rows.unsaved()) == {"name"}


def test_without_a_secret_no_share_is_made_and_old_ones_keep_their_password(rows, settings):
    rows.share("photos")
    settings.SAMBA_SECRET_KEY = ""
    with pytest.raises(NoShareSecret):
        rows.share("music")
    assert [wanted.hash for wanted in shares_on(rows.files1)] == [KEEP]


def test_another_secret_changes_no_password_until_it_is_renewed(rows, settings):
    share = rows.share("photos")
    before = share_password(share.uuid, 1)
    settings.SAMBA_SECRET_KEY = "another-secret-" * 4
    assert [wanted.hash for wanted in shares_on(rows.files1)] == [KEEP]
    with pytest.raises(services.StaleShare):
        services.show_password(SYSTEM, share)
    assert services.renew_all(SYSTEM) == 1
    assert services.renew_all(SYSTEM) == 0
    share.refresh_from_db()
    assert share.secret_mark == secret_mark()
    assert services.show_password(SYSTEM, share) != before
    assert [wanted.hash for wanted in shares_on(rows.files1)] != [KEEP]


def test_a_share_made_anew_has_another_password(rows):
    first = rows.share("photos")
    word = services.show_password(SYSTEM, first)
    services.delete_share(SYSTEM, first)
    assert services.show_password(SYSTEM, rows.share("photos")) != word


def test_no_password_is_written_anywhere(rows):
    share = rows.share("photos", comment="x")
    services.change_share(
        SYSTEM, Share(pk=share.pk, server=share.server, name="photos", comment="y"), version=1
    )
    services.switch_share(SYSTEM, share, active=False)
    services.renew_password(SYSTEM, share)
    words = [share_password(share.uuid, number) for number in (1, 2)]
    assert services.show_password(SYSTEM, Share.objects.get()) == words[1]
    kept = [str(list(model.objects.values())) for model in (AuditEntry, Job, Share, Rollout)]
    state = desired(rows.files1)
    kept += [str(state), str(foretell(lambda: services.delete_share(SYSTEM, share)))]
    kept += [item.content.decode() for item in state.items if isinstance(item, File)]
    assert not [word for word in words for text in kept if word in text]


def test_what_changed_meanwhile_is_not_overwritten(rows):
    share = rows.share("photos")
    services.switch_share(SYSTEM, share, active=False)
    with pytest.raises(services.StaleShare):
        services.change_share(SYSTEM, share, version=1)
    services.delete_share(SYSTEM, share)
    with pytest.raises(services.StaleShare):
        services.delete_share(SYSTEM, share)


def test_a_server_with_shares_keeps_samba_and_its_base_folder(rows):
    rows.share("photos")
    for field, value in (("samba_base_folder", "/data"), ("samba_management", False)):
        server = Server.objects.get(pk=rows.files1.pk)
        setattr(server, field, value)
        if field == "samba_management":
            server.samba_base_folder = ""
        with pytest.raises(ValidationError) as caught:
            change_server(SYSTEM, server, version=server.version)
        assert field in caught.value.message_dict


def test_the_last_share_takes_everything_along(rows):
    share = rows.share("photos")
    assert len(desired(rows.files1).items) == 3
    services.delete_share(SYSTEM, share)
    state = desired(rows.files1)
    assert not state.items
    assert state.activate


def test_a_switched_off_share_is_not_served(rows):
    share = rows.share("photos")
    services.switch_share(SYSTEM, share, active=False)
    texts = [item.content.decode() for item in desired(rows.files1).items if isinstance(item, File)]
    assert "[photos]" not in texts[0]
    assert "\toff\t" in texts[1]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_want_one_folder_at_once_one_gets_it(rows):
    ended: list[str] = []

    def make(name: str, folder: str) -> None:
        try:
            services.create_share(SYSTEM, rows.unsaved(name, folder=folder))
            ended.append("made")
        except ValidationError:
            ended.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=args) for args in (("a", "team"), ("b", "team/b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["made", "refused"]
