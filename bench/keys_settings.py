"""The panel's settings with a bare Django view, no middleware, and a count of every SQL query of the
process.
"""

from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.urls import path

from gestion.settings import *  # noqa: F403

MIDDLEWARE = []
ROOT_URLCONF = "bench.keys_settings"
_queries = 0


async def hello(_request: HttpRequest) -> HttpResponse:
    """The least an asynchronous Django view can do."""
    return HttpResponse(b"hello\n", content_type="text/plain")


urlpatterns = [path("django/", hello)]


def counted() -> int:
    """SQL queries of this process until now."""
    return _queries


def _count(execute, sql, params, many, context):
    global _queries  # noqa: PLW0603 - one number a process
    _queries += 1
    return execute(sql, params, many, context)


def _connected(connection, **_kwargs) -> None:
    connection.execute_wrappers = [_count]


connection_created.connect(_connected)
