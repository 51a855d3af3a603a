"""The database works for one request only so long; and for workers as long as they need."""

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from accounts.models import User

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
COUNT = f"{ENDLESS} SELECT count(*) FROM n"  # noqa: S608 - constants
MANY = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) SELECT count(*) FROM n"
)


def one_statement(_request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(COUNT)
    return HttpResponse("never")


def many_rows(_request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(f"{ENDLESS} SELECT x FROM n")  # noqa: S608 - constants
        while cursor.fetchmany(1000):
            pass
    return HttpResponse("never")


def many_statements(_request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        while (
            True
        ):  # each far below the limit, and long enough for the database's time to be nearly all of it
            cursor.execute(MANY)
            cursor.fetchall()


def half_way(_request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        User.objects.create_user("half", "correct horse battery")
        with connection.cursor() as cursor:
            cursor.execute(COUNT)
    return HttpResponse("never")


urlpatterns = [
    path("one/", one_statement),
    path("rows/", many_rows),
    path("statements/", many_statements),
    path("half/", half_way),
    path("", include("gestion.urls")),
]


@pytest.fixture
def impatient(settings):
    settings.ROOT_URLCONF = __name__
    settings.REQUEST_DATABASE_SECONDS = 1.0  # the page that says so has no more than that, either
    yield
    connection.close()  # PostgreSQL keeps the limit for as long as a connection lasts


@pytest.mark.parametrize("page", ["one", "rows", "statements", "half"])
@pytest.mark.parametrize("as_json", [False, True])
def test_work_without_end_is_stopped_and_the_answer_says_so(impatient, admin_client, page, as_json):
    accept = "application/json" if as_json else "text/html"
    answer = admin_client.get(f"/{page}/", headers={"Accept": accept})
    assert answer.status_code == 503
    assert "needed too long" in answer.content.decode()
    assert answer.headers["Retry-After"] == "30"
    assert not User.objects.filter(username="half").exists()


def test_after_a_request_that_was_stopped_the_next_one_and_other_work_have_their_time(
    impatient, settings, admin_client
):
    assert admin_client.get("/one/").status_code == 503
    settings.REQUEST_DATABASE_SECONDS = 30.0
    assert admin_client.get("/sign-in/").status_code in {200, 302}
    assert connection.execute_wrappers == []


def test_outside_of_a_request_there_is_no_limit(settings, admin_client):
    settings.REQUEST_DATABASE_SECONDS = 0.001
    Client().get("/nothing/")
    if connection.vendor == "postgresql":
        connection.close()
    with connection.cursor() as cursor:
        cursor.execute(MANY)
        assert cursor.fetchone() == (200000,)


def test_nothing_is_limited_where_the_setting_says_so(settings, admin_client):
    settings.REQUEST_DATABASE_SECONDS = 0
    assert admin_client.get("/").status_code == 200
