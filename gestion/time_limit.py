"""A limit on the time that the database works for one request (REQUEST_DATABASE_SECONDS), in web processes alone.

PostgreSQL ends a statement by itself (statement_timeout); SQLite asks from time to time whether to go on
(sqlite3_progress_handler). Workers, migrations and commands pass no middleware and have no limit. Waiting for
another writer does not count: SQLite has a time of its own for it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseBase

from gestion.errors import too_much_work

log = logging.getLogger(__name__)
STEPS = 20_000  # of SQLite's machine between two questions whether to go on; well under 10 ms
BEGINNING = "BEGIN"  # SQLite takes the write lock with it, and may wait


class TooLongError(DatabaseError):
    """The request has used up its time; nothing more is asked for it."""


class Allowance:
    """What is left of one request's time; wraps each of its statements (Django's `execute_wrapper`)."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.used = 0.0
        self.used_up = False
        self._until = 0.0
        self._told: Any = None  # the connection that knows of the limit

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        """Run one statement. Raises DatabaseError when it is ended, or not begun, for want of time."""
        if isinstance(sql, str) and sql.startswith(BEGINNING):
            return execute(sql, params, many, context)
        if self.used >= self.seconds:
            self.used_up = True
            raise TooLongError("no time is left for this request")
        self._tell(context["connection"])
        began = time.monotonic()
        self._until = began + self.seconds - self.used
        try:
            return execute(sql, params, many, context)
        finally:
            self.used += time.monotonic() - began
            self.used_up = self.used_up or self.used >= self.seconds

    def _tell(self, database: Any) -> None:
        if self._told is database.connection:
            return
        self._told = database.connection
        if database.vendor == "sqlite":
            database.connection.set_progress_handler(self._is_over, STEPS)
        elif database.vendor == "postgresql":
            with database.connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {int(self.seconds * 1000)}")

    def _is_over(self) -> bool:
        """Whether SQLite is to end the statement, also one whose rows are read bit by bit."""
        if time.monotonic() < self._until:
            return False
        self.used_up = True
        return True

    def end(self, database: Any) -> None:
        """The request is over: a file that is sent as it is read takes the time that it takes."""
        if database.vendor == "sqlite" and self._told is not None and self._told is database.connection:
            database.connection.set_progress_handler(None, 0)

    def renew(self) -> None:
        """Once more the same time, for the answer that says that it was too little."""
        self.used, self.used_up = 0.0, False


class DatabaseTimeMiddleware:
    """Gives each request its time, and answers 503 when that was not enough."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer within the time."""
        if settings.REQUEST_DATABASE_SECONDS <= 0:
            return self.get_response(request)
        allowance = Allowance(settings.REQUEST_DATABASE_SECONDS)
        request.allowance = allowance  # type: ignore[attr-defined]  # for process_exception below
        try:
            with connection.execute_wrapper(allowance):
                return self.get_response(request)
        finally:
            allowance.end(connection)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """503, if it was for want of time that the database gave up; None for anything else."""
        allowance = getattr(request, "allowance", None)
        if allowance is None or not allowance.used_up or not isinstance(exception, DatabaseError):
            return None
        allowance.renew()
        log.warning(
            "%s %s used up its %g seconds of the database", request.method, request.path, allowance.seconds
        )
        return too_much_work(request)
