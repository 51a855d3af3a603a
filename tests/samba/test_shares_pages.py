"""The pages of shares: for people and for programs, for admins, owners and strangers."""

import html
import json
import re
import shlex

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from samba.models import FolderReturn, Share
from samba.passwords import share_password
from servers.models import Rollout, Server

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
NEW = "/samba/shares/new/"
LIST = "/samba/shares/"


def post(client, url: str, body: dict):
    return client.post(url, json.dumps(body), content_type="application/json", headers=JSON)


def test_a_share_is_made_by_the_form(admin_client, rows):
    answer = admin_client.post(NEW, {"server": rows.files1.pk, "name": "Photos", "folder": "team/photos/"})
    share = Share.objects.get()
    assert answer.headers["Location"] == share.get_absolute_url()
    assert (share.name, share.folder, share.active, share.read_only) == ("Photos", "team/photos", True, False)
    page = admin_client.get(share.get_absolute_url()).content.decode()
    assert r"\\files1\Photos" in page
    assert "smb://files1/Photos" in page
    assert "mount -t cifs //files1/Photos" in page


def test_a_share_is_called_active_or_off_only_as_far_as_the_server_is_known_to_be_so(admin_client, rows):
    admin_client.post(NEW, {"server": rows.files1.pk, "name": "photos"})
    share = Share.objects.get()
    pages = (LIST, share.get_absolute_url(), rows.files1.get_absolute_url())
    Rollout.objects.filter(kind="samba").update(state="in_sync")
    for contact, words in (("ok", ">active<"), ("unreachable", ">server unreachable<")):
        Server.objects.filter(pk=rows.files1.pk).update(contact=contact)
        for page in pages:
            assert words in admin_client.get(page).content.decode(), (page, contact)
    said = post(admin_client, f"{share.get_absolute_url()}switch/", {"active": False}).json()["message"]
    assert "once that is rolled out" in said
    for state, words in (("in_sync", ""), ("waiting", ">being rolled out<"), ("failed", ">not rolled out<")):
        Rollout.objects.filter(kind="samba").update(state=state)
        for page in (LIST, share.get_absolute_url()):
            shown = admin_client.get(page).content.decode()
            assert ">switched off<" in shown
            assert words in shown, (page, state)


@pytest.mark.services
def test_a_program_makes_changes_switches_and_deletes(admin_client, rows):
    made = post(admin_client, NEW, {"server": rows.files1.pk, "name": "photos"}).json()
    assert made["ok"]
    url = f"{LIST}{made['id']}/"
    changed = post(admin_client, f"{url}edit/", {"read_only": True, "comment": "x", "version": 1}).json()
    assert (changed["read_only"], changed["comment"], changed["folder"]) == (True, "x", "photos")
    assert "errors" in post(admin_client, f"{url}edit/", {"comment": "y", "version": 1}).json()
    assert post(admin_client, f"{url}switch/", {"active": False}).json()["ok"]
    assert admin_client.get(url, headers=JSON).json()["active"] is False
    assert post(admin_client, f"{url}password/renew/", {}).json()["ok"]
    share = Share.objects.get()
    shown = post(admin_client, f"{url}password/", {}).json()
    assert (shown["user"], shown["password"]) == ("smb-photos", share_password(share.uuid, 2))
    assert post(admin_client, f"{url}delete/", {}).json()["ok"]
    assert not Share.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "global"), ("name", "a]"), ("name", "%u"), ("name", "a\nb"), ("name", ""), ("name", "a\x00"),
        ("name", "x" * 81), ("folder", "../etc"), ("folder", "/etc"), ("folder", "a/../b"), ("folder", "%u"),
        ("comment", "%u"), ("comment", "a  b"), ("server", "999999"), ("server", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_field(admin_client, rows, field, value):
    body = {"server": rows.files1.pk, "name": "photos", field: value}
    answer = post(admin_client, NEW, body)
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not Share.objects.exists()


def test_all_that_is_wrong_is_said_at_once_and_once(admin_client, rows, settings):
    errors = post(admin_client, NEW, {"name": "a;b", "folder": "../x"}).json()["errors"]
    assert set(errors) == {"server", "name", "folder"}
    for length in (81, 300):
        body = {"server": rows.files1.pk, "name": "x" * length}
        (said,) = post(admin_client, NEW, body).json()["errors"]["name"]
        assert "at most 80 characters" in said
        assert admin_client.post(NEW, body).content.decode().count("at most 80 characters") == 1
    for prefix in ("smb-", "s"):
        settings.SAMBA_USER_PREFIX = prefix
        assert post(admin_client, NEW, {"server": rows.files1.pk, "name": "x" * 80}).json()["ok"]
        Share.objects.all().delete()


def test_how_to_reach_a_share_is_written_so_that_it_can_be_copied(admin_client, rows):
    page = admin_client.get(rows.share("R&D it's").get_absolute_url()).content.decode()
    assert r"\\files1\R&amp;D it&#x27;s" in page
    assert "smb://files1/R%26D%20it%27s" in page
    (command, *_more) = re.findall(r'"(mount -t cifs [^"]*)"', page)
    assert shlex.split(html.unescape(command))[3] == "//files1/R&D it's"


def test_a_folder_that_is_there_may_end_with_a_space_and_a_new_one_does_not(admin_client, rows):
    for adopt, folder in ((True, "Carols Pics "), (False, "Carols Pics")):
        body = {"server": rows.files1.pk, "name": "pics", "folder": "Carols Pics ", "adopt": adopt}
        assert post(admin_client, NEW, body).json()["folder"] == folder
        Share.objects.all().delete()


def test_a_server_without_samba_cannot_be_chosen(admin_client, rows):
    assert "server" in post(admin_client, NEW, {"server": rows.web1.pk, "name": "a"}).json()["errors"]


def test_the_diff_is_shown_before_and_nothing_is_saved(admin_client, rows):
    body = {"server": rows.files1.pk, "name": "photos", "preview": "1"}
    answer = admin_client.post(NEW, body)
    assert answer.status_code == 200
    assert "path = /srv/shares/photos" in answer.content.decode()
    shown = post(admin_client, NEW, body).json()["difference"]
    assert "+   valid users = smb-photos" in shown
    assert "secret" in shown
    assert not Share.objects.exists()
    assert not Rollout.objects.exists()


def test_the_password_is_shown_by_post_alone_with_an_audit_row(admin_client, admin, rows):
    share = rows.share("photos")
    word = share_password(share.uuid, 1)
    url = reverse("samba:show_password", args=[share.pk])
    assert admin_client.get(url).status_code == 405
    for page in (
        LIST,
        share.get_absolute_url(),
        rows.files1.get_absolute_url(),
        f"{share.get_absolute_url()}edit/",
    ):
        assert word not in admin_client.get(page).content.decode()
        assert word not in admin_client.get(page, headers=JSON).content.decode()
    assert not AuditEntry.objects.filter(verb="share.show_password").exists()
    answer = admin_client.post(url)
    assert word in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    entry = AuditEntry.objects.get(verb="share.show_password")
    assert (entry.actor, entry.object_id) == (admin, str(share.pk))
    assert word not in f"{entry.before} {entry.after}"


def test_without_a_secret_the_pages_say_so(admin_client, rows, settings):
    share = rows.share("photos")
    settings.SAMBA_SECRET_KEY = ""
    for url in (LIST, NEW, share.get_absolute_url()):
        assert "SAMBA_SECRET_KEY is not set" in admin_client.get(url).content.decode()
    assert "SAMBA_SECRET_KEY" in str(post(admin_client, NEW, {"server": rows.files1.pk, "name": "b"}).json())
    assert post(admin_client, f"{share.get_absolute_url()}password/", {}).status_code == 409
    assert "SAMBA_SECRET_KEY" in admin_client.get("/").content.decode()


def test_a_replaced_secret_is_told_and_all_passwords_are_renewed(admin_client, rows, settings):
    share = rows.share("photos")
    settings.SAMBA_SECRET_KEY = "another-secret-" * 4
    assert "Give them new passwords" in admin_client.get(LIST).content.decode()
    assert admin_client.get(f"{LIST}?password=old", headers=JSON).json()["total"] == 1
    assert "has been replaced" in admin_client.get(share.get_absolute_url()).content.decode()
    assert "SAMBA_SECRET_KEY has been replaced" in admin_client.get("/").content.decode()
    assert post(admin_client, f"{LIST}renew/", {}).json()["count"] == 1
    assert "Give them new passwords" not in admin_client.get(LIST).content.decode()


def test_giving_back_is_offered_only_where_the_server_knows_whose_it_was(admin_client, rows):
    share = rows.share("photos", adopt=True)
    url = f"{share.get_absolute_url()}delete/"
    assert "the server has no record of it" in admin_client.get(url).content.decode()
    assert "give_back" in post(admin_client, url, {"give_back": True}).json()["errors"]
    Share.objects.update(given_things=12, given_at=timezone.now())
    assert "12 things in it belonged to" in admin_client.get(url).content.decode()
    assert "12 things in it belonged to" in admin_client.get(share.get_absolute_url()).content.decode()
    assert admin_client.get(share.get_absolute_url(), headers=JSON).json()["can_give_back"] == 12
    assert post(admin_client, url, {"give_back": True}).json()["ok"]
    (going,) = FolderReturn.objects.all()
    assert (going.user, going.folder) == ("smb-photos", "photos")
    again = {"server": rows.files1.pk, "name": "photos"}
    assert "is being given back" in str(post(admin_client, NEW, again).json()["errors"]["folder"])
    made = post(admin_client, NEW, {**again, "folder": "other"}).json()
    assert made["user"] == "smb-photos-2"


@pytest.mark.parametrize("adopt", [True, False])
def test_no_page_claims_that_there_is_data(admin_client, rows, adopt):
    share = rows.share("photos", adopt=adopt)
    page = admin_client.get(f"{share.get_absolute_url()}delete/").content.decode()
    assert "What lies in /srv/shares/photos stays" in page
    answer = admin_client.post(f"{share.get_absolute_url()}delete/", follow=True).content.decode()
    assert "What lies in /srv/shares/photos stays there" in answer
    assert "data stays" not in (page + answer).lower()


def test_owners_operate_the_shares_of_their_servers_and_see_no_others(member_client, member, rows):
    mine, other = rows.share("photos"), rows.share("photos", server=rows.files2)
    url = mine.get_absolute_url()
    assert member_client.get(url).status_code == 404
    assert member_client.post(f"{url}password/").status_code == 404
    rows.files1.owners.add(member)
    assert member_client.get(LIST, headers=JSON).json()["total"] == 1
    assert share_password(mine.uuid, 1) in member_client.post(f"{url}password/").content.decode()
    assert member_client.post(f"{url}switch/").status_code == 302
    assert member_client.post(f"{url}password/renew/").status_code == 302
    mine.refresh_from_db()
    assert (mine.active, mine.password_number) == (False, 2)
    for action in ("edit/", "delete/"):
        assert member_client.post(f"{url}{action}").status_code == 403
    assert member_client.post(NEW, {"server": rows.files1.pk, "name": "x"}).status_code == 403
    assert member_client.post(f"{LIST}renew/").status_code == 403
    theirs = other.get_absolute_url()
    for action in ("", "password/", "switch/", "password/renew/"):
        assert member_client.post(f"{theirs}{action}").status_code in {404, 405}
        assert member_client.get(theirs).status_code == 404


@pytest.mark.services
def test_the_list_searches_sorts_and_filters(admin_client, rows):
    rows.share("photos", comment="Family")
    rows.share("music", read_only=True, server=rows.files2)

    def found(query: str) -> list[str]:
        return [row["name"] for row in admin_client.get(f"{LIST}?{query}", headers=JSON).json()["rows"]]

    assert found("q=family") == ["photos"]
    assert found("q=files2") == ["music"]
    assert found("q=smb-") == ["music", "photos"]
    assert found("sort=-name") == ["photos", "music"]
    assert found(f"server={rows.files1.pk}") == ["photos"]
    assert found("write=no") == ["music"]
    assert found("active=off") == []


def test_the_list_takes_a_constant_number_of_queries(admin_client, rows, django_assert_max_num_queries):
    for number in range(30):
        rows.share(f"s{number}")
    with django_assert_max_num_queries(13):
        admin_client.get(LIST)


def test_the_server_page_shows_its_shares_and_its_deletion_names_them(admin_client, rows):
    assert (
        f"{NEW}?server={rows.files1.pk}" in admin_client.get(rows.files1.get_absolute_url()).content.decode()
    )
    rows.share("photos")
    assert "smb-photos" in admin_client.get(rows.files1.get_absolute_url()).content.decode()
    assert "New share" not in admin_client.get(rows.web1.get_absolute_url()).content.decode()
    page = admin_client.get(reverse("servers:delete", args=[rows.files1.pk])).content.decode()
    assert "the share photos on files1 is on it" in page


def test_the_dashboard_tells_of_shares_that_are_not_right(admin_client, rows):
    rows.share("photos")
    Rollout.objects.update(state="drifted")
    assert "Users, folders or shares on files1" in admin_client.get("/").content.decode()


def test_the_empty_list_says_what_to_do_first(admin_client, db):
    assert "manage Samba" in admin_client.get(LIST).content.decode()


def test_of_many_servers_whose_shares_are_not_rolled_out_the_rest_is_counted(admin_client, rows):
    for number in range(7):
        server = Server.objects.create(name=f"many{number}", keymanager_name="m")
        Share.objects.create(server=server, name="a", user="smb-a", folder="a", secret_mark="")
        Rollout.objects.create(server=server, kind="samba", state="failed")
    page = admin_client.get("/").content.decode()
    assert page.count("The shares of many") == 5
    assert "The same on 2 more servers with shares." in page
