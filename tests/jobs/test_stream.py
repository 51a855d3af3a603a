"""The live stream over real Daphne, with a real worker behind it."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from jobs import services, stream
from jobs.models import Job, JobLine
from jobs.services import start_job
from tests.jobs.processes import web, worker
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


class Watcher:
    """A browser's EventSource."""

    def __init__(self, port: int, client: Client, job: Job, query: str = "", last: int | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", f"/jobs/{job.pk}/stream{query}", headers=headers)
        self.answer = self.connection.getresponse()
        self.last = 0

    def events(self) -> Iterator[tuple[str, Any]]:
        name = data = ""
        while line := self.answer.readline().decode():
            field, _colon, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.last = int(value)
            elif not line.strip() and name:
                yield name, json.loads(data)
                name = ""

    def texts(self, until: str) -> list[str]:
        """Lines up to and with this one."""
        found: list[str] = []
        for name, data in self.events():
            if name == "lines":
                found += [line["text"] for line in data]
                if until in found:
                    return found
        return found


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_lines_come_while_the_job_runs_and_the_stream_ends_with_it(actor, admin_client, log):
    job = start_job(actor, "jobs.check", "x", {"seconds": 6, "lines": 4})
    with web(log) as (_process, port):
        watcher = Watcher(port, admin_client, job)
        assert watcher.answer.getheader("Content-Type") == "text/event-stream"
        with worker(log):
            seen = list(watcher.events())
    states = [data for name, data in seen if name == "state"]
    assert states[0]["state"] == "waiting"
    assert "running" in [state["state"] for state in states]
    assert (states[-1]["state"], states[-1]["percent"], states[-1]["ended"]) == ("done", 100, True)
    batches = [data for name, data in seen if name == "lines"]
    assert len(batches) > 1, "lines must come as they are written, not at the end"
    assert [line["text"] for data in batches for line in data][1:] == [f"line {n} of 4" for n in range(1, 5)]
    assert seen[-1] == ("end", {})


def test_who_comes_back_goes_on_after_the_last_line(actor, admin_client, log):
    job = start_job(actor, "tests.note", "x")
    with web(log) as (_process, port):
        JobLine.objects.create(job=job, text="one")
        Job.objects.filter(pk=job.pk).update(revision=1)
        first = Watcher(port, admin_client, job)
        assert first.texts("one") == ["one"]
        first.connection.close()
        JobLine.objects.create(job=job, text="two")
        Job.objects.filter(pk=job.pk).update(revision=2)
        assert Watcher(port, admin_client, job, last=first.last).texts("two") == ["two"]
        assert Watcher(port, admin_client, job, query=f"?after={first.last}").texts("two") == ["two"]
        assert Watcher(port, admin_client, job, query="?after=-1x").texts("two") == ["one", "two"]


def test_others_cannot_watch(actor, member_client, log):
    job = start_job(actor, "tests.note", "x")
    with web(log) as (_process, port):
        assert Watcher(port, member_client, job).answer.status == 404
        stranger = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        stranger.request("GET", f"/jobs/{job.pk}/stream")
        assert stranger.getresponse().status == 401  # what programs ask leads to no page


def test_one_can_watch_ones_own(member, member_client, log):
    from accounts.actors import Actor

    job = start_job(Actor(member, "mel"), "tests.own", "x")
    with web(log) as (_process, port):
        watcher = Watcher(port, member_client, job)
        assert watcher.answer.status == 200
        services.stop_job(Actor(member, "mel"), job)
        assert [name for name, _data in watcher.events()][-1] == "end"


def test_those_who_wait_hold_no_database_connection(actor, admin_client, log):
    job = start_job(actor, "tests.note", "x")
    with web(log) as (process, port):
        watchers = [Watcher(port, admin_client, job) for _ in range(5)]
        for watcher in watchers:
            assert next(watcher.events())[0] == "state"
        counts = []
        for _ in range(50):
            counts.append(open_connections(process.pid))
            time.sleep(0.1)
        assert max(counts) <= 1, "all looks have one between them, for a moment"


def test_one_person_cannot_open_streams_without_end_and_others_still_can(
    actor, admin_client, member, member_client, log
):
    from accounts.actors import Actor

    job, theirs = start_job(actor, "tests.note", "x"), start_job(Actor(member, "mel"), "tests.own", "y")
    with web(log) as (_process, port):
        watchers = [Watcher(port, admin_client, job) for _ in range(stream.MOST_STREAMS)]
        for watcher in watchers:
            assert next(watcher.events())[0] == "state"
        late = Watcher(port, admin_client, job).answer
        assert (late.status, late.getheader("Retry-After")) == (429, "30")
        assert Watcher(port, member_client, theirs).answer.status == 200
        for watcher in watchers:
            watcher.answer.close()
            watcher.connection.close()
        wait_for(
            lambda: Watcher(port, admin_client, job).answer.status != 429,
            name="an end of streams that still count",
        )


def open_connections(pid: int) -> int:
    """How many connections that process has to our database."""
    if connection.vendor == "postgresql":
        # Not what PostgreSQL counts: autovacuum is of the same database, and other threads of ours may be.
        port = int(connection.settings_dict["PORT"])
        found = psutil.Process(pid).net_connections("tcp")
        return len([1 for one in found if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port])
    open_files = []
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
        try:
            open_files.append(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115
        except FileNotFoundError:
            continue
    return open_files.count(str(connection.settings_dict["NAME"]))


def test_many_watchers_cost_one_query_a_look(actor, django_assert_num_queries):
    jobs = [start_job(actor, "tests.note", "x", {"number": number}) for number in range(5)]
    known = {job.pk: (0, 0) for job in jobs}
    with django_assert_num_queries(1):
        assert stream.look(known) == {}


def test_a_long_log_comes_in_parts_and_whole(actor):
    job = start_job(actor, "tests.note", "x")
    JobLine.objects.bulk_create(JobLine(job=job, text=str(n)) for n in range(stream.MOST_LINES + 10))
    Job.objects.filter(pk=job.pk).update(state="done")
    first = stream.see(job.pk, 0)
    assert first
    assert (len(first.lines), first.state["ended"], first.revision) == (stream.MOST_LINES, False, -1)
    second = stream.see(job.pk, first.lines[-1]["id"])
    assert second
    assert (len(second.lines), second.state["ended"]) == (10, True)
