"""Pages of keys and groups: what an admin, a member and an owner see and may do."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from jobs.models import Job
from keymanager.fetching import install_script
from keymanager.models import FetchReport, FetchToken, Group, Key, KeySetRevision, OfferedKey
from keymanager.signing import current_key
from keymanager.tokens import give_token
from servers.identity import panel_identity
from servers.models import Server
from tests.keymanager.fleets import ed25519_blob, fingerprint_of, make_key, make_server, unit

pytestmark = pytest.mark.django_db
JSON = {"HTTP_ACCEPT": "application/json"}
READ_DIGEST = re.compile(r'name="confirm_lockout_read" value="(\w+)"')


def line(seed: str) -> str:
    return f"ssh-ed25519 {ed25519_blob(seed.encode())} {seed}"


def url(name: str, *args: object) -> str:
    return reverse(f"keymanager:{name}", args=args)


@pytest.fixture
def carol() -> User:
    user = User.objects.create_user("carol", "correct horse battery")
    make_key(user, "carol")
    return user


@pytest.fixture
def carol_client(carol) -> Client:
    client = Client()
    client.force_login(carol)
    return client


@pytest.fixture
def fleet(carol):
    """Carol owns "hers", is in the group "ops" that is allowed on "web"; "other" is nothing of hers."""
    hers, web, other = make_server("hers"), make_server("web", "root", "deploy"), make_server("other")
    hers.owners.add(carol)
    group = Group.objects.create(name="ops")
    group.member_users.add(carol)
    group.allowed_unix_users.add(unit(web, "deploy"))
    return hers, web, other, group


class TestMyKeys:
    def test_a_member_adds_and_deletes_keys_and_is_told_what_happens_next(self, carol, carol_client, fleet):
        give_token(Actor.system("test"), fleet[0])
        answer = carol_client.post(url("my_keys"), {"keys": line("new")}, follow=True)
        assert "2 servers are concerned" in answer.content.decode()
        assert "at the latest within the hour. 1 does not fetch from here." in answer.content.decode()
        assert set(KeySetRevision.objects.exclude(name="").values_list("name", flat=True)) == {
            "hers",
            "web",
            "*tokens",
        }
        key = Key.objects.get(comment="new")
        page = carol_client.get(url("delete_key", key.pk)).content.decode()
        assert "hers" in page
        assert "web" not in page.split("<main")[1].split("</main>")[0]  # not hers to see: only the count
        carol_client.post(url("delete_key", key.pk))
        assert not Key.objects.filter(comment="new").exists()

    def test_a_bad_key_comes_back_with_its_reason_and_a_private_key_does_not_come_back(self, carol_client):
        answer = carol_client.post(url("my_keys"), {"keys": "ssh-dss AAAA"})
        assert answer.status_code == 422
        assert "ssh-dss AAAA" in answer.content.decode()
        secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n"
        answer = carol_client.post(url("my_keys"), {"keys": secret})
        assert answer.status_code == 422
        assert "b3BlbnNzaC1rZXktdjEA" not in answer.content.decode()
        assert "This is a private key" in answer.content.decode()

    def test_the_same_works_as_json(self, carol_client):
        answer = carol_client.post(
            url("my_keys"), {"keys": line("api")}, content_type="application/json", **JSON
        )
        assert answer.json()["keys"][0]["comment"] == "api"
        listed = carol_client.get(url("my_keys"), **JSON).json()["keys"]
        assert [key["comment"] for key in listed] == ["carol", "api"]
        bad = carol_client.post(url("my_keys"), {"keys": "x"}, content_type="application/json", **JSON)
        assert bad.status_code == 422
        assert "keys" in bad.json()["errors"]

    def test_a_comment_with_markup_is_shown_as_text(self, carol, carol_client):
        make_key(carol, "x", comment="<script>alert(1)</script>")
        assert "<script>alert(1)" not in carol_client.get(url("my_keys")).content.decode()


class TestWhoMayDoWhat:
    def test_a_member_reaches_nothing_of_others(self, admin, carol_client, fleet):
        _hers, web, other, group = fleet
        foreign = make_key(admin, "admins")
        host_key = make_key(unit(other), "host")
        offer = OfferedKey.objects.create(unix_user=unit(other), line=line("o"), fingerprint="f", path="p")
        for address in (
            url("server", other.pk), url("server", web.pk), url("server_keys", other.pk),
            url("person", admin.pk), url("delete_key", foreign.pk), url("delete_key", host_key.pk),
        ):  # fmt: skip
            assert carol_client.get(address).status_code == 404, address
        assert carol_client.post(url("delete_key", foreign.pk)).status_code == 404
        for address in (
            url("keys"), url("person_keys", admin.pk), url("groups"), url("new_group"),
            url("group", group.pk), url("edit_group", group.pk), url("delete_group", group.pk),
        ):  # fmt: skip
            assert carol_client.get(address).status_code == 403, address
        for address in (
            url("read_keys", other.pk), url("unix_user_keys", unit(other).pk), url("offered_key", offer.pk),
            url("recommended_group", "users"), url("group_add", group.pk, "allowed_servers"),
            url("group_remove", group.pk, "member_users", 1), url("delete_group", group.pk),
        ):  # fmt: skip
            assert carol_client.post(address, {"rows": other.pk}).status_code == 403, address
        assert Key.objects.filter(pk=foreign.pk).exists()
        assert not group.allowed_servers.exists()

    def test_an_owner_sees_her_servers_logins_and_keys_but_adds_none(self, carol_client, fleet):
        hers = fleet[0]
        make_key(unit(hers), "hostkey")
        page = carol_client.get(url("server", hers.pk)).content.decode()
        assert "Owners" in page
        assert "carol" in page
        page = carol_client.get(url("server_keys", hers.pk)).content.decode()
        assert "hostkey" in page
        assert "<textarea" not in page
        assert carol_client.post(url("unix_user_keys", unit(hers).pk), {"keys": line("x")}).status_code == 403

    def test_the_overview_has_only_what_one_may_see(self, admin_client, carol_client, fleet):
        names = [row["name"] for row in carol_client.get(url("overview"), **JSON).json()["rows"]]
        assert names == ["hers"]
        assert len(admin_client.get(url("overview"), **JSON).json()["rows"]) == 3

    def test_a_member_sees_where_she_can_log_in_and_why(self, carol, carol_client, fleet):
        page = carol_client.get(url("person", carol.pk)).content.decode()
        assert "owner of hers" in page
        assert "allowed on deploy@web" in page
        rows = carol_client.get(url("person", carol.pk), **JSON).json()["rows"]
        assert [(row["server"], row["paths"][0]["group"]) for row in rows] == [("hers", None), ("web", "ops")]

    @pytest.mark.parametrize("name", ["overview", "my_keys"])
    def test_anonymous_people_are_asked_to_sign_in(self, client, name):
        assert client.get(url(name)).status_code == 302
        assert client.get(url(name), **JSON).status_code == 401


class TestPastes:
    def test_an_editors_mark_puttys_form_and_a_repeat_are_taken_and_the_repeat_is_said(
        self, carol_client, carol
    ):
        kind, blob, _comment = line("new").split()
        saved = f'---- BEGIN SSH2 PUBLIC KEY ----\nComment: "home"\n{blob}\n---- END SSH2 PUBLIC KEY ----\n'
        body = {"keys": f"\ufeff{saved}{kind} {blob} again\n\ufeff{line('other')}\n"}
        answer = carol_client.post(url("my_keys"), body, **JSON)
        assert answer.status_code == 200, answer.content
        assert "2 keys added. 1 line was a repeat." in answer.json()["message"]
        assert {"home", "other"} <= set(carol.ssh_keys.values_list("comment", flat=True))

    def test_of_a_repeat_with_other_options_it_is_said_that_those_here_stay(self, carol_client, carol):
        carol_client.post(url("my_keys"), {"keys": line("new")}, **JSON)
        body = {"keys": f"no-pty {line('new')}\n{line('other')}\n{line('other')} again"}
        said = carol_client.post(url("my_keys"), body, **JSON).json()["message"]
        held = carol.ssh_keys.get(comment="new")
        assert f"2 lines were repeats. Its options stay as they are here: {held.fingerprint}." in said
        assert held.options == ""


class TestGroups:
    def test_a_first_run_offers_the_recommended_groups_with_one_click_each(self, admin_client):
        assert admin_client.get(url("groups")).content.decode().count("Make it") == 3
        for key in ("gestion", "users", "servers"):
            assert admin_client.post(url("recommended_group", key)).status_code == 302
        assert "Make it" not in admin_client.get(url("groups")).content.decode()
        assert admin_client.post(url("recommended_group", "users"), **JSON).status_code == 409
        assert admin_client.post(url("recommended_group", "nothing")).status_code == 404

    def test_a_group_is_made_filled_and_emptied_without_scripts(self, admin_client, carol):
        server = make_server("web")
        answer = admin_client.post(url("new_group"), {"name": "ops"})
        group = Group.objects.get()
        assert answer.url == group.get_absolute_url()
        page = admin_client.get(f"{group.get_absolute_url()}?part=member_users&add=carol").content.decode()
        assert f'value="{carol.pk}"' in page
        admin_client.post(url("group_add", group.pk, "member_users"), {"rows": [carol.pk]})
        admin_client.post(url("group_add", group.pk, "allowed_servers"), {"rows": [server.pk]})
        page = admin_client.get(f"{group.get_absolute_url()}?part=allowed_servers").content.decode()
        assert "web" in page
        admin_client.post(url("group_remove", group.pk, "member_users", carol.pk), {"confirm_lockout": "on"})
        assert not group.member_users.exists()

    def test_nothing_chosen_and_unknown_rows_or_lists_are_refused(self, admin_client):
        group = Group.objects.create(name="g")
        add = url("group_add", group.pk, "member_users")
        assert admin_client.post(add, {}, **JSON).status_code == 422
        assert admin_client.post(add, {"rows": ["99999"]}, **JSON).status_code == 422
        assert admin_client.post(add, {"rows": ["x"]}, **JSON).status_code == 422
        assert admin_client.post(url("group_add", group.pk, "name"), {"rows": ["1"]}).status_code == 404

    def test_deleting_says_what_falls_away(self, admin_client, fleet):
        page = admin_client.get(url("delete_group", fleet[3].pk)).content.decode()
        assert "then count no longer on 1 server" in page
        assert "carol" in page
        admin_client.post(url("delete_group", fleet[3].pk))
        assert not Group.objects.exists()

    @pytest.mark.services
    def test_every_list_of_a_group_shows_as_page_and_json(self, admin_client, carol):
        backup, web = make_server("backup"), make_server("web")
        group = Group.objects.create(name="g", includes_panel=True)
        panel_identity()
        group.member_users.add(carol)
        group.member_servers.add(backup)
        group.member_keys.add(make_key(unit(backup), "bk"))
        group.allowed_servers.add(web)
        group.allowed_unix_users.add(unit(backup))
        expected = {
            "member_users": "carol", "member_servers": "backup", "member_keys": "root@backup",
            "allowed_servers": "web", "allowed_unix_users": "root@backup",
        }  # fmt: skip
        for part, name in expected.items():
            assert name in admin_client.get(f"{url('group', group.pk)}?part={part}").content.decode()
            found = admin_client.get(f"{url('group', group.pk)}?part={part}", **JSON).json()["rows"]
            assert len(found) == 1
        assert "Gestion itself" in admin_client.get(url("server", web.pk)).content.decode()


class TestSecondWord:
    def test_a_lock_out_is_shown_first_and_happens_only_after_the_tick(self, admin, admin_client):
        key = make_key(admin, "only")
        make_server("web").owners.add(admin)
        asked = admin_client.post(url("delete_key", key.pk))
        assert asked.status_code == 409
        page = asked.content.decode()
        assert "nobody could log in as root" in page
        assert "web" in page
        assert 'name="confirm_lockout"' in page
        assert Key.objects.exists()
        assert admin_client.post(url("delete_key", key.pk), {"confirm_lockout": "on"}).status_code == 302
        assert not Key.objects.exists()

    def test_what_was_sent_is_sent_again_with_the_tick(self, admin, admin_client):
        make_key(admin, "only")
        group = Group.objects.create(name="g", includes_panel=True)
        panel_identity()
        group.allowed_servers.add(make_server("web"))
        page = admin_client.post(url("edit_group", group.pk), {"name": "new name"}).content.decode()
        assert 'name="name" value="new name"' in page
        assert Group.objects.get().name == "g"

    def test_the_word_is_for_what_was_read_and_what_was_not_is_asked_anew(self, admin, admin_client):
        key = make_key(admin, "only")
        make_server("web").owners.add(admin)
        page = admin_client.post(url("delete_key", key.pk)).content.decode()
        make_server("meanwhile").owners.add(admin)
        word = {"confirm_lockout": "on", "confirm_lockout_read": READ_DIGEST.findall(page)}
        asked = admin_client.post(url("delete_key", key.pk), word)
        assert asked.status_code == 409
        page = asked.content.decode()
        assert "meanwhile" in page
        assert Key.objects.exists()
        word["confirm_lockout_read"] = READ_DIGEST.findall(page)
        assert len(set(word["confirm_lockout_read"])) == 2
        assert admin_client.post(url("delete_key", key.pk), word).status_code == 302
        assert not Key.objects.exists()

    def test_a_program_is_asked_too(self, admin, admin_client):
        key = make_key(admin, "only")
        make_server("web").owners.add(admin)
        asked = admin_client.post(url("delete_key", key.pk), {}, content_type="application/json", **JSON)
        assert asked.status_code == 409
        assert "web" in asked.json()["errors"]["confirm_lockout"][0]
        other = {"confirm_lockout": True, "confirm_lockout_read": "0" * 32}
        assert (
            admin_client.post(
                url("delete_key", key.pk), other, content_type="application/json", **JSON
            ).json()
            == asked.json()
        )
        done = admin_client.post(
            url("delete_key", key.pk), {"confirm_lockout": True}, content_type="application/json", **JSON
        )
        assert done.json()["ok"]


class TestServerKeys:
    def test_an_admin_adds_a_key_to_a_unix_user_and_errors_stay_with_it(self, admin_client):
        root = unit(make_server("web"))
        bad = admin_client.post(url("unix_user_keys", root.pk), {"keys": "nonsense"})
        assert bad.status_code == 422
        assert "not a public key" in bad.content.decode()
        admin_client.post(url("unix_user_keys", root.pk), {"keys": line("host")})
        assert root.ssh_keys.get().comment == "host"

    def test_keys_read_from_a_server_count_only_after_an_admins_word(self, admin_client):
        root = unit(make_server("web"))
        rows = [
            OfferedKey.objects.create(
                unix_user=root,
                line=line(seed),
                fingerprint=fingerprint_of(ed25519_blob(seed.encode())),
                path="/x",
            )
            for seed in ("one", "two")
        ]
        page = admin_client.get(url("server_keys", root.server_id)).content.decode()
        assert page.count("Take it only if") == 2
        admin_client.post(url("offered_key", rows[0].pk), {"take": "1"})
        admin_client.post(url("offered_key", rows[1].pk), {"take": ""})
        assert [key.comment for key in root.ssh_keys.all()] == ["one"]
        assert not OfferedKey.objects.exists()

    def test_reading_starts_one_job(self, admin_client):
        server = make_server("web")
        for _again in range(2):
            admin_client.post(url("read_keys", server.pk), **JSON)
        assert Job.objects.filter(work="keymanager.read_server_keys").count() == 1


class TestOtherRoomsPages:
    def test_switching_off_the_last_admin_with_a_way_in_is_asked_about_on_the_persons_page(
        self, admin_client
    ):
        ann = User.objects.create(username="ann", is_admin=True)
        make_key(ann, "ann")
        make_server("web").owners.add(ann)
        edit = reverse("accounts:edit_user", args=[ann.pk])
        asked = admin_client.post(edit, {"username": "ann", "is_admin": "on"})  # no longer active
        assert asked.status_code == 409
        assert "web" in asked.content.decode()
        assert admin_client.post(reverse("accounts:delete_user", args=[ann.pk])).status_code == 409
        assert User.objects.get(username="ann").is_active
        sent = {"username": "ann", "is_admin": "on", "confirm_lockout": "on"}
        assert admin_client.post(edit, sent).status_code == 302
        assert not User.objects.get(username="ann").is_active


class TestFetching:
    def test_the_signing_key_is_replaced_in_two_steps(self, admin_client, member_client):
        assert member_client.get(url("signing")).status_code == 403
        give_token(Actor.system("test"), make_server("web"))
        current = current_key()
        admin_client.post(url("signing"), {"step": "prepare"})
        assert admin_client.post(url("signing"), {"step": "prepare"}, **JSON).status_code == 409
        asked = admin_client.post(url("signing"), {"step": "use"})
        assert asked.status_code == 409
        assert "web" in asked.content.decode()
        assert "Sign with the next key" in admin_client.get(url("signing")).content.decode()
        admin_client.post(url("signing"), {"step": "use", "confirm_lockout": "on"})
        assert current_key() != current
        assert admin_client.post(url("signing"), {"step": "use"}, **JSON).status_code == 409

    def test_an_admin_sets_fetching_up_and_takes_it_away(self, admin_client):
        server = make_server("web")
        page = admin_client.get(url("server", server.pk)).content.decode()
        assert "Set it up" in page
        assert "No key from here opens root yet" in page, "what lets in by authorized_keys2 now goes"
        server.owners.add(owner := User.objects.create(username="dora"))
        for options, opens in (('expiry-time="20200101"', False), ('command="backup"', False), ("", True)):
            made = make_key(owner, "dora", options=options)
            page = admin_client.get(url("server", server.pk)).content.decode()
            assert ("No key from here opens root yet" not in page) is opens, options
            made.delete()
        admin_client.post(url("install", server.pk))
        assert FetchToken.objects.filter(server=server).exists()
        page = admin_client.get(url("server", server.pk)).content.decode()
        assert "Fetch now" in page
        before = FetchToken.objects.get().digest
        admin_client.post(url("replace_token", server.pk), {"at_once": "on"})
        assert FetchToken.objects.get().digest != before
        assert FetchToken.objects.get().previous_digest == ""
        admin_client.post(url("send_again", server.pk))
        assert "authorized_keys2" in admin_client.get(url("uninstall", server.pk)).content.decode()
        assert "is not on it yet" not in page
        FetchReport.objects.create(server=server, fetched_at=timezone.now(), holds="0" * 40)
        admin_client.post(url("uninstall", server.pk))
        page = admin_client.get(url("server", server.pk)).content.decode()
        assert "may still be there and let people in" in page  # the keys stay as they were
        assert "is not on it yet" not in page
        assert not FetchToken.objects.exists()
        assert admin_client.get(url("uninstall", server.pk)).status_code == 404

    def test_the_script_is_shown_to_admins_on_purpose_and_on_record(self, admin_client):
        server = make_server("web")
        assert admin_client.get(url("install_script", server.pk)).status_code == 405
        answer = admin_client.post(url("install_script", server.pk), **JSON)
        assert answer.json()["script"] == install_script(server)
        assert "no-store" in answer["Cache-Control"]
        page = admin_client.post(url("install_script", server.pk)).content.decode()
        assert "root shell" in page
        entry = AuditEntry.objects.filter(verb="fetch_token.show").first()
        assert entry is not None
        assert FetchToken.objects.get().secret not in str((entry.before, entry.after, entry.object_name))

    def test_owners_fetch_now_on_their_servers_and_do_nothing_else(self, carol_client, fleet):
        hers, web, *_rest = fleet
        assert carol_client.post(url("fetch_now", hers.pk), **JSON).status_code == 409
        give_token(Actor.system("test"), hers)
        assert carol_client.post(url("fetch_now", hers.pk), **JSON).json()["ok"]
        assert carol_client.post(url("fetch_now", web.pk)).status_code == 404
        for name in ("install", "install_script", "replace_token", "send_again", "uninstall"):
            assert carol_client.post(url(name, hers.pk)).status_code == 403, name
        assert carol_client.post(url("fetch_all_now")).status_code == 403

    def test_all_fetch_now(self, admin_client):
        assert admin_client.post(url("fetch_all_now"), **JSON).status_code == 409
        give_token(Actor.system("test"), make_server("web"))
        job = admin_client.post(url("fetch_all_now"), **JSON).json()["job"]
        assert Job.objects.get(pk=job).work == "keymanager.fetch"


def test_where_somebody_can_log_in_says_what_is_left_of_the_keys(admin_client, client):
    carol = User.objects.create(username="carol", full_name="")
    make_server("web").owners.add(carol)
    make_key(carol, "laptop")
    url = reverse("keymanager:person", args=[carol.pk])
    assert "Not with every key" not in admin_client.get(url).content.decode()
    make_key(carol, "old", options='expiry-time="20200101"')
    make_key(carol, "robot", options='from="192.0.2.7",command="rrsync -ro /srv"')
    client.force_login(carol)
    for reader in (admin_client, client):
        page = " ".join(reader.get(url).content.decode().split())
        assert "old (expired on 2020-01-01 00:00), robot (only from 192.0.2.7, runs only “rrsync" in page
        assert "laptop" not in page


def test_what_changes_who_can_log_in_says_where_before(admin_client, carol, fleet):
    _hers, _web, _other, group = fleet
    both = "2 servers are concerned (hers, web). They do not fetch from here."
    page = admin_client.get(reverse("accounts:edit_user", args=[carol.pk])).content.decode()
    assert f"no key of this person counts. It has 1 SSH key: {both}" in page
    page = admin_client.get(reverse("accounts:delete_user", args=[carol.pk])).content.decode()
    assert (
        "1 SSH key, and the logins it allows (on 2 servers). They do not fetch from here: keys that" in page
    )
    User.objects.filter(pk=carol.pk).update(is_active=False)  # she has left: the key counts nowhere any more
    page = admin_client.get(reverse("accounts:delete_user", args=[carol.pk])).content.decode()
    assert "1 SSH key, which counts no more (on 2 servers). They do not fetch from here: keys that" in page
    User.objects.filter(pk=carol.pk).update(is_active=True)
    page = admin_client.get(url("edit_group", group.pk)).content.decode()
    assert "is a member. 1 server is concerned (web). It does not fetch from here." in page
    for name, pk, servers in (
        ("delete_key", carol.ssh_keys.get().pk, ["hers", "web"]),
        ("delete_group", group.pk, ["web"]),
    ):
        told = admin_client.get(url(name, pk), **JSON).json()
        assert (told["concerned"], told["servers"]) == (len(servers), servers)
        assert told["not_fetching"] == len(servers)
        assert "keys that it holds stay there" in _stays(admin_client, name, pk, "web")
        give_token(Actor.system("test"), Server.objects.get(name="web"))
        assert admin_client.get(url(name, pk), **JSON).json()["not_fetching"] == len(servers) - 1
        FetchToken.objects.all().delete()


def _stays(client: Client, name: str, pk: int, server: str) -> str:
    """A page that deletes keys, where this server alone does not fetch."""
    for other in Server.objects.exclude(name=server):
        give_token(Actor.system("test"), other)
    page = client.get(url(name, pk)).content.decode()
    FetchToken.objects.all().delete()
    return page


def test_setting_fetching_up_and_taking_it_away_say_before_what_they_roll_out(admin_client):
    server = make_server("web")

    def post(name: str, **sent: object) -> dict:
        answer = admin_client.post(url(name, server.pk), sent, content_type="application/json", **JSON)
        assert answer.status_code == 200, answer.content
        return answer.json()

    (told,) = post("install", preview=True)["preview"]
    assert (told["title"], told["files"]["/usr/local/sbin/gestion-keys"]) == ("Key fetching of web", "new")
    assert not FetchToken.objects.exists()
    assert [one["kind"] for one in post("install")["rolls_out"]] == ["keys"]
    (told,) = post("uninstall", preview=True)["preview"]
    assert told["files"]["/etc/cron.d/gestion-keys"] == "gone"
    (told,) = post("replace_token", preview=True)["preview"]
    assert told["files"] == {"/etc/gestion/keys.conf": "changed"}
    token = FetchToken.objects.get()
    assert token.secret not in str(told)
    assert [one["server"] for one in post("uninstall")["rolls_out"]] == ["web"]


def test_lists_ask_a_constant_number_of_queries(admin_client, django_assert_max_num_queries):
    for number in range(30):
        server = make_server(f"s{number}", "root", "deploy")
        person = User.objects.create(username=f"p{number}")
        make_key(person, f"k{number}")
        make_key(unit(server), f"h{number}")
        server.owners.add(person)
        Group.objects.create(name=f"g{number}").allowed_servers.add(server)
    for name, most in (("overview", 25), ("keys", 12), ("groups", 12)):
        with django_assert_max_num_queries(most):
            admin_client.get(url(name))
