"""What watches the tests of every URL: no way to write goes past it."""

import threading

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import User
from tests.gestion.write_watcher import changes, watched

TABLE = User._meta.db_table


def raw(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def many() -> None:
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {TABLE} SET full_name = %s", [("x",), ("y",)])  # noqa: S608


def taken_back() -> None:
    with transaction.atomic():
        User.objects.create_user("planted")
        transaction.set_rollback(True)


def before_another_is_taken_back() -> None:
    User.objects.update(full_name="planted")
    with transaction.atomic():
        transaction.set_rollback(True)


PLANTED = {
    "a row": lambda: User.objects.create(username="planted"),
    "rows at once": lambda: User.objects.bulk_create([User(username="planted")]),
    "an update": lambda: User.objects.update(full_name="planted"),
    "a delete": lambda: User.objects.all().delete(),
    "many": many,
    "taken back by a savepoint": taken_back,
    "kept while a savepoint is taken back": before_another_is_taken_back,
    "raw": lambda: raw(f"UPDATE {TABLE} SET full_name = 'planted'"),  # noqa: S608
    "raw, oddly written": lambda: raw(f"\n  update\t\"{TABLE}\" set full_name = 'planted'"),
    "raw, with a common table expression": lambda: raw(
        f"WITH x AS (SELECT 1) UPDATE {TABLE} SET full_name = 'planted'"  # noqa: S608
    ),
    "raw, behind a comment": lambda: raw(f"/* x */ DELETE FROM {TABLE}"),  # noqa: S608
    "a table": lambda: raw("CREATE TABLE planted (x integer)"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_planted_write_is_caught(plant):
    User.objects.create_user("somebody")
    with watched() as changed:
        plant()
    assert changed


@pytest.mark.django_db
def test_a_view_that_writes_is_caught_and_one_that_reads_is_not():
    def view(request) -> HttpResponse:
        if request.GET:
            User.objects.update(full_name="planted")
        return HttpResponse(str(list(User.objects.all())))

    for query, found in (("", False), ("?write=1", True)):
        with watched() as changed:
            view(RequestFactory().get(f"/{query}"))
        assert bool(changed) is found


@pytest.mark.django_db(transaction=True)
def test_a_write_on_another_thread_and_its_connection_is_caught():
    def write() -> None:
        User.objects.create_user("planted")
        connection.close()

    with watched() as changed:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert changed
    assert User.objects.filter(username="planted").exists()


@pytest.mark.django_db
def test_reading_and_sessions_are_no_change_and_nothing_listens_afterwards():
    with watched() as changed:
        list(User.objects.all())
        Session.objects.create(session_key="x", expire_date=timezone.now())
        with transaction.atomic():
            User.objects.select_for_update().first()
    assert changed == []
    User.objects.create_user("later")
    assert changed == []


def test_what_is_not_known_to_read_counts_as_a_change():
    assert changes("VACUUM")
    assert changes("CALL something()")
    assert changes("SELECT 1; DELETE FROM accounts_user")
    assert changes("INSERT INTO sessions_session_more VALUES (1)")
    assert not changes('SELECT 1 FROM "x" FOR UPDATE')
