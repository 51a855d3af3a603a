"""The pages of backups: for people and for programs."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.actors import Actor
from backups.desired_plans import asked_of, files, plan_of
from backups.forms.plans import BackupForm
from backups.models import Backup, BackupRun, BackupSet, BackupState, LeftData, RunState
from backups.services.plans import create_backup, delete_backup
from jobs.models import Job
from servers.models import Rollout, Server, Tag

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
NEW = "/backups/new/"


def data(rows, **more) -> dict:
    where = {"destination": rows.backup1.pk, "destination_folder": "/backups/mail1"}
    return {
        "source": rows.mail1.pk,
        "source_folder": "/",
        "exclude_proc_sys": "on",
        "active": "on",
        **where,
        **more,
    }


def post(client, url: str, body: dict):
    return client.post(url, json.dumps(body), content_type="application/json", headers=JSON)


def test_a_backup_is_added_by_the_form_and_rolled_out(admin_client, rows):
    answer = admin_client.post(NEW, data(rows, source_folder=" /srv// ", excludes="/b,, the/game\n/c/"))
    backup = Backup.objects.get()
    assert answer.headers["Location"] == backup.get_absolute_url()
    assert (backup.source_folder, backup.excludes) == ("/srv", "/b, /the/game, /c")
    assert (backup.keep_hourly, backup.keep_daily, backup.keep_weekly, backup.keep_monthly) == (6, 7, 4, 3)
    assert Rollout.objects.get(server=rows.backup1).kind == "rsnapshot"
    page = admin_client.get(backup.get_absolute_url()).content.decode()
    assert "never run" in page
    assert "/the/game" in page


@pytest.mark.parametrize("said", ["", None])
def test_nothing_is_no_rhythm_of_verifying(admin_client, rows, said):
    backup = rows.backup(verify="monthly")
    answer = post(admin_client, f"/backups/{backup.pk}/edit/", {"verify": said})
    assert list(answer.json()["errors"]) == ["verify"]
    assert post(admin_client, f"/backups/{backup.pk}/edit/", {"note": "x"}).json()["ok"]
    backup.refresh_from_db()
    assert (backup.verify, backup.note) == ("monthly", "x")
    made = post(admin_client, NEW, data(rows, destination_folder="/backups/new", verify=said)).json()
    assert Backup.objects.get(pk=made["id"]).verify == Backup().verify


@pytest.mark.services
def test_a_program_adds_changes_switches_and_deletes(admin_client, rows):
    made = post(admin_client, NEW, data(rows)).json()
    assert made["ok"]
    url = f"/backups/{made['id']}/"
    shown = admin_client.get(url, headers=JSON).json()
    assert (shown["source"], shown["state"], shown["active"]) == ("mail1", "never", True)
    keeps = {f"keep_{level}": 2 for level in ("hourly", "daily", "weekly", "monthly")}
    change = {**keeps, "shrink_limit": 20, "note": "all", "version": 1}
    refused = post(admin_client, f"{url}edit/", {**change, "destination_folder": "/b/x"})
    assert list(refused.json()["errors"]) == ["destination_folder"]
    assert post(admin_client, f"{url}edit/", change).json()["note"] == "all"
    assert Backup.objects.get().destination_folder == "/backups/mail1"  # stays what it was
    assert post(admin_client, f"{url}edit/", {**change, "note": "mine"}).status_code == 422
    assert post(admin_client, f"{url}switch/", {"active": False}).json()["ok"]
    assert admin_client.get("/backups/", headers=JSON).json()["rows"][0]["state"] == "off"
    assert post(admin_client, f"{url}delete/", {"typed": "mail1"}).status_code == 422
    assert post(admin_client, f"{url}delete/", {"typed": "mail1:/"}).json()["ok"]
    assert not Backup.objects.exists()


def test_a_program_need_not_say_how_many_copies_are_kept_nor_where(admin_client, rows):
    body = {"source": rows.mail1.pk, "source_folder": "/srv", "destination": rows.backup1.pk}
    made = post(admin_client, NEW, body).json()
    assert made["ok"], made
    assert (made["keep_weekly"], made["destination_folder"]) == (4, "/backups/mail1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source_folder", "srv"), ("source_folder", "/srv/../etc"), ("source_folder", "/a\tb"), ("source_folder", ""),
        ("source_folder", "/proc/1"), ("source_folder", "/..a"),
        ("destination_folder", "/"), ("destination_folder", "//"), ("destination_folder", "/home"),
        ("destination_folder", "/etc/backups"), ("destination_folder", "backups"),
        ("destination_folder", "/backups/a/.."), ("destination_folder", "/backups/a\nb"),
        ("excludes", "/a/../b"), ("excludes", "/**"), ("excludes", "/a\x1bb"), ("note", "a\x00b"),
        ("shrink_limit", "0"), ("shrink_limit", "101"), ("keep_daily", "-1"), ("keep_daily", "x"),
        ("keep_hourly", "1"), ("source", "999999"), ("destination", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_field(admin_client, rows, field, value):
    answer = post(admin_client, NEW, data(rows, **{field: value}))
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not Backup.objects.exists()


def test_some_level_must_be_kept(admin_client, rows):
    keeps = {f"keep_{level}": 0 for level in ("hourly", "daily", "weekly", "monthly")}
    assert "keep_daily" in post(admin_client, NEW, data(rows, **keeps)).json()["errors"]
    only = {**keeps, "keep_weekly": 1}
    assert post(admin_client, NEW, data(rows, **only)).json()["ok"]


@pytest.mark.parametrize(
    "folder", ["/backups/mail1", "/backups/mail1/deeper", "/backups", "/backups/./mail1//x/"]
)
@pytest.mark.services
def test_two_backups_never_share_a_folder(admin_client, rows, folder):
    rows.backup(destination_folder="/backups/mail1")
    answer = post(admin_client, NEW, data(rows, source=rows.web1.pk, destination_folder=folder))
    assert "destination_folder" in answer.json()["errors"]
    assert post(admin_client, NEW, data(rows, destination_folder="/backups/mail12")).json()["ok"]


def test_what_a_deleted_backup_left_is_not_overwritten(admin_client, rows, actor):
    delete_backup(actor, begun(rows.backup(destination_folder="/backups/mail1")))
    answer = post(admin_client, NEW, data(rows))
    assert "left its copies" in answer.json()["errors"]["destination_folder"][0]


@pytest.mark.parametrize(
    ("source", "folder"), [("/", "/backups/x"), ("/srv", "/srv/b"), ("/srv/b/c", "/srv/b")]
)
def test_a_copy_never_copies_itself(admin_client, rows, source, folder):
    own = data(rows, source=rows.backup1.pk, source_folder=source, destination_folder=folder)
    assert "destination_folder" in post(admin_client, NEW, own).json()["errors"]


def test_a_source_that_cannot_be_reached_is_told(admin_client, rows):
    Server.objects.filter(pk=rows.mail1.pk).update(ssh_connection="")
    assert "source" in post(admin_client, NEW, data(rows)).json()["errors"]


def test_a_server_is_backed_up_in_one_step_when_there_is_one_backup_server(admin_client, rows, settings):
    page = f"/servers/{rows.web1.pk}/"
    one_step = reverse("backups:back_up_server", args=[rows.web1.pk])
    assert one_step not in admin_client.get(page).content.decode()
    assert post(admin_client, one_step, {}).status_code == 409
    rows.backup1.tags.add(Tag.objects.create(name="backup"))
    assert one_step in admin_client.get(page).content.decode()
    made = post(admin_client, one_step, {}).json()
    assert (made["source_folder"], made["destination_folder"]) == ("/", "/backups/web1")
    assert made["exclude_proc_sys"]
    settings.BACKUP_SERVER, settings.BACKUP_BASE_FOLDER = "Mail1", "/srv/copies/"
    made = post(admin_client, one_step, {}).json()
    assert (made["destination"], made["destination_folder"]) == ("mail1", "/srv/copies/web1")


def test_an_owner_sees_the_backups_of_his_server_and_tries_them(member_client, member, rows):
    mine, other = rows.backup(), rows.backup(source=rows.web1)
    rows.mail1.owners.add(member)
    assert [row["id"] for row in member_client.get("/backups/", headers=JSON).json()["rows"]] == [mine.pk]
    assert member_client.get(mine.get_absolute_url()).status_code == 200
    assert member_client.get(other.get_absolute_url()).status_code == 404
    assert member_client.post(f"{mine.get_absolute_url()}try/").status_code == 302
    assert Job.objects.get().work == "backups.try_way"
    assert member_client.get(f"{mine.get_absolute_url()}edit/").status_code == 403
    assert member_client.post(f"{mine.get_absolute_url()}delete/").status_code == 403


def test_the_list_asks_the_same_few_questions_however_long_it_is(
    admin_client, rows, django_assert_max_num_queries
):
    for number in range(12):
        rows.backup(destination_folder=f"/backups/{number}")
    with django_assert_max_num_queries(16):
        assert admin_client.get("/backups/?q=mail1&state=red").status_code == 200


@pytest.mark.services
def test_the_dashboard_and_the_search_show_what_is_not_right(admin_client, rows):
    rows.backup(note="letters")
    page = admin_client.get("/").content.decode()
    assert "The backup of mail1:/ has never run." in page
    assert "mail1:/" in admin_client.get("/search/?q=letters").content.decode()


def test_a_server_with_backups_is_not_deleted(admin_client, rows):
    rows.backup()
    for server in (rows.mail1, rows.backup1):
        page = admin_client.get(f"/servers/{server.pk}/delete/").content.decode()
        assert "cannot be deleted" in page
        told = admin_client.get(
            f"/servers/{server.pk}/delete/", headers={"Accept": "application/json"}
        ).json()
        assert any("mail1:/" in text for text in told["blocked"])
        assert post(admin_client, f"/servers/{server.pk}/delete/", {"name": server.name}).status_code == 409


def test_the_sets_that_lose_a_backup_are_named_before_it_is_deleted(admin_client, rows):
    backup, night = rows.backup(), BackupSet.objects.create(name="night")
    url = f"/backups/{backup.pk}/delete/"
    assert "goes with it" not in admin_client.get(url).content.decode()
    night.members.create(backup=backup, position=1)
    page = admin_client.get(url).content.decode()
    assert f'href="{night.get_absolute_url()}"' in page
    told = admin_client.get(url, headers={"Accept": "application/json"}).json()
    assert told["holds"] == ["Its place in the set night"]


def test_deleting_leaves_the_copies_and_they_are_deleted_by_a_second_word(admin_client, rows, actor):
    left = delete_backup(actor, begun(rows.backup()))
    assert left
    assert "/backups/mail1" in admin_client.get("/backups/left/").content.decode()
    assert admin_client.post(left.get_absolute_url(), {"typed": "yes"}).status_code == 422
    assert admin_client.post(left.get_absolute_url(), {"typed": "backup1:/backups/mail1"}).status_code == 302
    assert Job.objects.get().work == "backups.delete_left"
    assert LeftData.objects.exists()  # until it is done


def begun(backup: Backup) -> Backup:
    """The same, of which a run has begun once, so that there may be copies."""
    BackupRun.objects.create(backup=backup, state=RunState.FAILED, started_at=timezone.now())
    return backup


def test_a_backup_that_never_ran_leaves_nothing_and_no_page_says_that_its_copies_stay(admin_client, rows):
    url = f"{rows.backup().get_absolute_url()}delete/"
    assert "nothing of it is left" in admin_client.get(url).content.decode()
    answer = post(admin_client, url, {"typed": "mail1:/"}).json()
    assert answer["message"] == "mail1:/ is not backed up any more. It had not made a copy yet."
    assert (answer["left"], answer["url"]) == (None, "/backups/")
    assert not LeftData.objects.exists()


def test_what_was_taken_up_again_without_a_good_run_leaves_its_folder_again(admin_client, rows, actor):
    left = delete_backup(actor, begun(rows.backup()))
    assert left
    post(admin_client, f"{left.get_absolute_url()}take-up/", {})
    assert (
        "Those that are there stay"
        in admin_client.get(f"/backups/{Backup.objects.get().pk}/delete/").content.decode()
    )
    assert delete_backup(actor, Backup.objects.get())


def test_a_deleted_backup_is_taken_up_again_with_its_copies(admin_client, rows, actor):
    backup = rows.backup(excludes="/a", keep_hourly=3)
    good = timezone.now()
    BackupState.objects.create(backup=backup, good_at=good, good_bytes=70, destination_place="/ ext4 1")
    run = BackupRun.objects.create(backup=backup, state=RunState.RUNNING)
    assert post(admin_client, f"/backups/{backup.pk}/delete/", {"typed": "mail1:/"}).status_code == 409
    run.delete()
    left = delete_backup(actor, backup)
    assert left
    made = post(admin_client, f"{left.get_absolute_url()}take-up/", {}).json()
    again = Backup.objects.get()
    assert (made["id"], again.uuid, again.active) == (again.pk, backup.uuid, False)
    assert (again.excludes, again.keep_hourly, again.source) == ("/a", 3, rows.mail1)
    assert again.state.good_bytes == 70
    assert again.state.good_at
    assert abs(again.state.good_at - good) < timedelta(seconds=1)
    assert not LeftData.objects.exists()


class WhateverIsTyped(TestCase):
    """Through form, service and template: nothing that is taken makes a file of another structure."""

    def setUp(self):
        self.source = Server.objects.create(name="a", keymanager_name="a", ssh_connection="root@192.0.2.1")
        self.destination = Server.objects.create(
            name="b", keymanager_name="b", ssh_connection="root@192.0.2.2"
        )

    @settings(max_examples=60, deadline=None)
    @given(
        folder=st.text(max_size=20), there=st.text(max_size=20), excludes=st.text(max_size=40), note=st.text()
    )
    def test_what_the_form_takes_is_written_as_it_is(self, folder, there, excludes, note):
        typed = {
            "source": self.source.pk,
            "source_folder": f"/srv/{folder}",
            "destination": self.destination.pk,
        }
        typed |= {"destination_folder": f"/backups/{there}", "excludes": excludes, "note": note}
        form = BackupForm(typed)
        if not form.is_valid():
            return
        try:
            backup = create_backup(Actor.system("test"), form.filled())
        except ValidationError:
            return
        config, patterns, *_rest = (file.content.decode() for file in files(plan_of(backup)))
        fields = [line.split("\t") for line in config.split("\n") if "\t" in line]
        assert ["snapshot_root", f"{backup.destination_folder}/"] in fields
        assert ["backup", asked_of(plan_of(backup)), "data/"] in fields
        assert len(fields) == 20
        assert all(line.startswith("/") for line in patterns.split("\n")[1:-1])


@pytest.fixture
def keeper(rows):
    """mail1, where the backup server comes as keeper."""
    Server.objects.filter(pk=rows.mail1.pk).update(backup_ssh_connection="keeper@198.51.100.20")
    return rows.mail1


def test_reading_as_root_is_a_choice_only_where_the_backup_server_does_not_come_as_root(
    rows, keeper, admin, client
):
    client.force_login(admin)

    def offered(source) -> bool:
        url = reverse("backups:new_backup")
        page = client.get(url, {"source": source.pk, "destination": rows.backup1.pk}).content.decode()
        return 'name="as_root"' in page

    assert offered(keeper)
    assert not offered(rows.web1)
    edit = reverse("backups:edit_backup", args=[rows.backup(source_folder="/srv").pk])
    assert 'name="as_root"' in client.get(edit).content.decode()
    Server.objects.filter(pk=keeper.pk).update(backup_ssh_connection="")
    assert 'name="as_root"' not in client.get(edit).content.decode()


def test_it_is_saved_shown_and_refused_where_root_comes_already(rows, keeper, admin, client):
    client.force_login(admin)
    url, as_json = reverse("backups:new_backup"), {"accept": "application/json"}
    typed = {"destination": rows.backup1.pk, "source_folder": "/srv", "as_root": True}
    refused = client.post(url, {**typed, "source": rows.web1.pk}, "application/json", headers=as_json)
    assert refused.status_code == 422
    assert "as root already" in refused.json()["errors"]["as_root"][0]
    made = client.post(url, {**typed, "source": keeper.pk}, "application/json", headers=as_json)
    assert made.status_code == 200, made.json()
    backup = Backup.objects.get()
    assert client.get(backup.get_absolute_url(), headers=as_json).json()["as_root"] is True
    page = client.get(backup.get_absolute_url()).content.decode()
    assert "root, by sudo for keeper" in page
    assert Rollout.objects.filter(server=keeper, kind="backup-source").exists()


def test_the_form_foretells_what_is_read_as_root_and_that_it_ends(rows, keeper, admin, client):
    client.force_login(admin)
    as_json = {"accept": "application/json"}

    def told(url: str, data: dict[str, object]) -> list[tuple[list[str], list[str]]]:
        answer = client.post(url, {**data, "preview": True}, "application/json", headers=as_json).json()
        return [
            (one["begins"], one["ends"])
            for one in answer["preview"]
            if one["title"] == "Read by sudo of mail1"
        ]

    words = ["files are read as root by sudo: /srv, for keeper"]
    new = {"source": keeper.pk, "destination": rows.backup1.pk, "source_folder": "/srv"}
    url = reverse("backups:new_backup")
    assert told(url, {**new, "as_root": True}) == [(words, [])]
    assert told(url, new) == []
    client.post(url, {**new, "as_root": True}, "application/json", headers=as_json)
    backup = Backup.objects.get()
    edit = reverse("backups:edit_backup", args=[backup.pk])
    assert told(edit, {"as_root": False, "version": backup.version}) == [([], words)]
