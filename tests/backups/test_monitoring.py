"""What monitoring systems read, and that nobody else does."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import BackupRun, BackupState, RunState, Verification

pytestmark = [pytest.mark.services, pytest.mark.django_db]
TOKEN = "m" * 40
NOBODY = 2**31 - 1  # no backup has this number, however many others made before
LIST = "/backups/zabbix/list/_"


@pytest.fixture
def good(rows):
    """A backup with a good run five and a half hours ago."""
    backup = rows.backup(keep_hourly=6)
    began = timezone.now() - timedelta(hours=5.5)
    run = BackupRun.objects.create(
        backup=backup,
        state=RunState.DONE,
        why="schedule",
        levels=["hourly"],
        rotated=["hourly"],
        asked_at=began,
        started_at=began,
        ended_at=began + timedelta(seconds=90),
        bytes=5000,
        files=12,
    )
    rotated = {"hourly": began.isoformat()}
    BackupState.objects.create(backup=backup, last=run, rotated=rotated, good_files=12, good_bytes=5000)
    return backup


def ask(client, url: str, token: str = TOKEN):
    return client.get(url, headers={"X-Gestion-Token": token, "accept": "application/json"})


def test_zabbix_discovers_active_backups_and_reads_their_figures(client, rows, good, settings):
    settings.MONITORING_TOKEN = TOKEN
    rows.backup(source=rows.web1, active=False)
    assert ask(client, LIST).json() == {"data": [{"{#BACKUP_ID}": good.pk, "{#BACKUP_NAME}": "mail1:/"}]}
    told = {name: ask(client, f"/backups/zabbix/last_{name}/{good.pk}").content for name in
            ("hourly", "daily", "size", "files")}  # fmt: skip
    assert told == {"hourly": b"5", "daily": b"0", "size": b"5000", "files": b"12"}
    assert ask(client, f"/backups/zabbix/state/{good.pk}").content == b"ok"
    assert ask(client, "/backups/zabbix/last_hourly_duration/_").content == b"90"
    assert ask(client, f"/backups/zabbix/last_yearly/{good.pk}").status_code == 404
    assert ask(client, f"/backups/zabbix/last_size/{good.pk + 99}").status_code == 404


def test_health_is_503_while_something_is_not_right(client, rows, good, settings):
    settings.MONITORING_TOKEN = TOKEN
    answer = ask(client, "/backups/health/")
    assert answer.status_code == 200
    assert answer.json()["backups"][0]["last_run"]["seconds"] == 90
    rows.backup(source=rows.web1)
    answer = ask(client, "/backups/health/")
    assert answer.status_code == 503
    assert (answer.json()["ok"], answer.json()["not_right"]) == (False, 1)


def test_a_verification_that_failed_is_seen_by_both(client, good, settings):
    settings.MONITORING_TOKEN = TOKEN
    good.verify = "monthly"
    good.save()
    now = timezone.now()
    task = Verification.objects.create(
        backup=good, at=1, copy="hourly.0", state="failed", ended_at=now, error="differs"
    )
    answer = ask(client, "/backups/health/")
    assert (answer.status_code, answer.json()["not_right"]) == (503, 1)
    assert "differs" in answer.json()["backups"][0]["verification"]
    assert ask(client, f"/backups/zabbix/state/{good.pk}").content == b"failed"
    Verification.objects.filter(pk=task.pk).update(state="done", error="")
    assert ask(client, "/backups/health/").status_code == 200
    assert ask(client, f"/backups/zabbix/state/{good.pk}").content == b"ok"
    Verification.objects.all().delete()
    type(good).objects.update(created_at=now - timedelta(days=200))
    assert ask(client, f"/backups/zabbix/state/{good.pk}").content == b"overdue"


@pytest.mark.parametrize(("known", "sent"), [(TOKEN, "x" * 40), ("", ""), ("short", "short"), (TOKEN, "")])
def test_a_wrong_short_or_unset_token_reads_nothing(client, good, settings, known, sent):
    settings.MONITORING_TOKEN = known
    for url in (LIST, "/backups/health/", f"/backups/zabbix/last_size/{good.pk}"):
        assert ask(client, url, sent).status_code == 401


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ADDRESSES = (
    *(
        LIST,
        f"{LIST}/",
        "/backups/zabbix",
        "/backups/zabbix/",
        "/backups/zabbix/state/_",
        "/backups/zabbix/state/1",
    ),
    *("/backups/zabbix/state/99/", "/backups/zabbix/last_hourly/%F0%9F%98%80", "/backups/zabbix/..%2f..%2f"),
    *("/backups/health", "/backups/health/", f"/backups/health/?token={TOKEN}"),
)
STRANGERS: tuple[dict[str, str], ...] = (
    *(
        {},
        {"Authorization": "Bearer gst_wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Token x"},
    ),
    *({"X-Gestion-Token": "é😀"}, {"X-Gestion-Token": f'"{TOKEN}"'}, {"Cookie": "sessionid=x"}),
)


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json", ";;q=x"]
)
@pytest.mark.parametrize("url", ADDRESSES)
def test_without_a_token_it_is_401_and_no_page_whatever_is_accepted_and_however_it_is_asked(
    good, settings, url, accept
):
    settings.MONITORING_TOKEN = TOKEN
    client = Client(enforce_csrf_checks=True)
    for headers in STRANGERS:
        for method in METHODS:
            answer = client.generic(method, url, headers={"accept": accept, **headers})
            assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json"), method
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_with_a_token_a_refusal_is_no_page_either(good, settings, accept):
    settings.MONITORING_TOKEN = TOKEN
    client = Client(enforce_csrf_checks=True)
    headers = {"X-Gestion-Token": TOKEN, "accept": accept}
    for url in (
        f"/backups/zabbix/state/{NOBODY}",
        "/backups/zabbix/last_yearly/1",
        "/backups/zabbix",
        f"{LIST}/",
    ):
        answer = client.get(url, headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json"), url
    for method in METHODS[2:]:
        answer = client.generic(method, LIST, headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/json"), method
        assert answer.headers["Allow"] == "GET, HEAD"
    assert client.get("/backups/health", headers=headers).status_code == 200


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"])
@pytest.mark.parametrize(
    "path", [f"state/{NOBODY}", "last_yearly/1", f"last_size/{NOBODY}", "other", "state/_"]
)
def test_what_there_is_not_is_404_and_no_page_whatever_is_accepted(client, good, settings, path, accept):
    settings.MONITORING_TOKEN = TOKEN
    answer = client.get(f"/backups/zabbix/{path}", headers={"accept": accept, "x-gestion-token": TOKEN})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].split(";")[0] in {"text/plain", "application/json"}


def test_the_duration_is_that_of_runs_which_were_asked_for_together(client, rows, good, settings):
    """Neither a run by hand in between nor one that was tried again later stretches it."""
    settings.MONITORING_TOKEN = TOKEN
    at = timezone.localtime().replace(hour=12, minute=0, second=3, microsecond=0) - timedelta(days=1)

    web = rows.backup(source=rows.web1)

    def run(why, after, seconds):
        began = at + after
        BackupRun.objects.create(
            backup=web, state=RunState.DONE, why=why, rotated=["hourly"],
            asked_at=began, started_at=began, ended_at=began + timedelta(seconds=seconds),
        )  # fmt: skip

    BackupRun.objects.update(why="schedule", asked_at=at, started_at=at, ended_at=at + timedelta(seconds=10))
    run("cron", timedelta(seconds=5), 10)
    run("hand", timedelta(hours=1.8), 10)
    run("schedule", timedelta(hours=1), 600)
    run("schedule", -timedelta(minutes=1), 30)  # of the hours before
    assert ask(client, "/backups/zabbix/last_hourly_duration/_").content == b"15"


SECONDS = timedelta(seconds=1)
TOGETHER = {
    "two by hand": ([("schedule", 0, 0, 10), ("hand", 900, 900, 60), ("hand", 5400, 5400, 60)], 10),
    "one that waited behind others": ([("schedule", 0, 0, 10), ("schedule", 1, 5400, 20)], 30),
    "side by side": ([("schedule", 0, 0, 100), ("schedule", 1, 50, 100), ("cron", 2, 60, 10)], 150),
    "one tried again": ([("schedule", 0, 0, 10), ("again", 300, 300, 4000)], 10),
    "only one tried again": ([("schedule", -14400, -14400, 7), ("again", 300, 300, 4000)], 7),
    "a clock that was put back": ([("schedule", 0, 0, 10), ("schedule", 1, 20, -3000)], 10),
    "by a set": ([("schedule", 0, 0, 10), ("set", 1, 1, 900)], 10),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_the_duration_counts_neither_waits_nor_what_others_asked_for(client, rows, settings, case):
    settings.MONITORING_TOKEN = TOKEN
    at = timezone.localtime().replace(hour=12, minute=0, second=3, microsecond=0) - timedelta(days=1)
    runs, seconds = TOGETHER[case]
    backup = rows.backup()
    for why, asked, began, took in runs:
        BackupRun.objects.create(
            backup=backup, state=RunState.DONE, why=why, rotated=["hourly"], asked_at=at + asked * SECONDS,
            started_at=at + began * SECONDS, ended_at=at + (began + took) * SECONDS,
        )  # fmt: skip
    for state in ("failed", "stopped", "lost"):  # cut
        BackupRun.objects.create(
            backup=backup, state=state, why="schedule", rotated=["hourly"], asked_at=at, started_at=at,
            ended_at=at + 9000 * SECONDS,
        )  # fmt: skip
    assert ask(client, "/backups/zabbix/last_hourly_duration/_").content == str(seconds).encode()


def test_the_monitoring_token_opens_no_other_page(client, good, settings):
    settings.MONITORING_TOKEN = TOKEN
    assert ask(client, "/backups/").status_code == 401
    assert ask(client, good.get_absolute_url()).status_code == 401


def test_an_owner_reads_his_own_alone(member_client, member, rows, good):
    mine = rows.backup(source=rows.web1)
    rows.web1.owners.add(member)
    assert [row["{#BACKUP_ID}"] for row in member_client.get(LIST).json()["data"]] == [mine.pk]
    assert member_client.get(f"/backups/zabbix/last_size/{good.pk}").status_code == 404


def test_the_zabbix_template_asks_urls_that_there_are(client, good, settings):
    settings.MONITORING_TOKEN = TOKEN
    template = (Path(settings.BASE_DIR) / "docs/zabbix/gestion-backups.yaml").read_text()
    urls = re.findall(r"url: '\{\$GESTION\.URL\}(\S+)'", template)
    assert len(urls) == 9
    for url in urls:
        assert ask(client, url.replace("{#BACKUP_ID}", str(good.pk))).status_code == 200, url
    uuids = re.findall(r"uuid: (\w+)", template)
    assert len(set(uuids)) == len(uuids)
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", uuid) for uuid in uuids)
