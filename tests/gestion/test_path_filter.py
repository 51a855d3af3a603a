"""What a log keeps of a request's path."""

import logging

import pytest

from gestion.logs import PathFilter

TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"


def written(path: object, logger: str = "django.request") -> str:
    """The line that a logger would write of an answer to this path."""
    record = logging.LogRecord(logger, logging.WARNING, "", 1, "Not Found: %s (%s)", (path, 404), None)
    assert PathFilter().filter(record), "the line itself is kept"
    return record.getMessage()


@pytest.mark.parametrize(
    "logger",
    ["django.request", "gestion.web", "accounts.guard", "githooks.views", "keymanager.live", "pages.x"],
)
def test_a_token_in_a_path_is_not_written_by_any_logger_of_requests(logger):
    assert written(f"/accounts/password/{TOKEN}/", logger) == "Not Found: /accounts/password/…/ (404)"


@pytest.mark.parametrize("length", [30, 31, 500])
def test_whatever_is_long_enough_for_a_token_is_left_out(length):
    assert written(f"/x/{'a' * length}") == "Not Found: /x/… (404)"


def test_names_that_people_read_stay():
    assert written(f"/servers/{'a' * 29}/") == f"Not Found: /servers/{'a' * 29}/ (404)"
    assert written("/servers/web-1/ports/") == "Not Found: /servers/web-1/ports/ (404)"


def test_every_value_of_a_query_is_left_out_however_short():
    assert written("/hook?key=abc&next=/x&empty=") == "Not Found: /hook?key=…&next=…&empty=… (404)"


def test_what_is_no_path_and_what_others_log_stays():
    assert written("no path") == "Not Found: no path (404)"
    assert written(f"/{TOKEN}", "celery.worker") == f"Not Found: /{TOKEN} (404)"


def test_a_record_whose_arguments_are_a_table_is_left_alone():
    record = logging.LogRecord("django.server", logging.INFO, "", 1, "%(path)s", ({"path": "/a"},), None)
    assert PathFilter().filter(record)
    assert record.getMessage() == "/a"
