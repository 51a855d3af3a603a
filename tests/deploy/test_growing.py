"""Two of everything, ended and started again under load; and the services below them."""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.deploy.growing import Grown, Load, grown_panel, token
from tests.services import MissingServiceError
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.services,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not os.environ.get("DATABASE_URL", "").startswith("postgres"),
        reason="of PostgreSQL and Redis: part of the second run, python -m tests.production",
    ),
]

OPEN = "SELECT id FROM jobs_job WHERE work = 'jobs.check' AND state IN ('waiting', 'running')"
ENDS = "SELECT state, count(*) FROM jobs_job WHERE work = 'jobs.check' GROUP BY state"
TWICE = """SELECT job_id, count(*) FROM jobs_jobline WHERE text = 'line 10 of 10' GROUP BY job_id
 HAVING count(*) <> 1"""
LAST_LINES = "SELECT count(DISTINCT job_id) FROM jobs_jobline WHERE text = 'line 10 of 10'"


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """One for all tests here: its processes take their time to start."""
    if not shutil.which("caddy"):
        missing("caddy is missing: apt install caddy")
    try:
        with grown_panel(tmp_path_factory.mktemp("grown")) as grown:
            yield grown
    except MissingServiceError as error:
        missing(str(error))


def missing(what: str) -> None:
    """Skip for want of a program; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def done_once(panel: Grown, jobs: int) -> None:
    """That as many jobs as these, and no others, came to their end, each once."""
    wait_for(lambda: not panel.rows(OPEN), 120, panel.folder / "worker1.log", name="the end of all jobs")
    assert panel.rows(ENDS) == [("done", jobs)]
    assert panel.rows(TWICE) == []
    assert panel.rows(LAST_LINES) == [(jobs,)]


def count(panel: Grown) -> int:
    (found,) = panel.rows("SELECT count(*) FROM jobs_job WHERE work = 'jobs.check'")
    return int(str(found[0]))


def test_web_processes_and_workers_restart_in_turn_and_nothing_is_lost(panel: Grown) -> None:
    before = count(panel)
    with Load(panel) as load:
        time.sleep(1)
        for name in ("web1", "web2", "worker1", "worker2"):
            panel.stop(name)
            panel.start(name)
            panel.wait_ready(name)
        load.send_no_more_forms()  # one that a killed process had cannot be sent again for it
        for name in ("web1", "web2"):
            panel.stop(name, signal.SIGKILL)
            panel.start(name)
            panel.wait_ready(name)
    assert load.asked > 20
    assert load.started > 3
    assert load.lost == []
    assert count(panel) - before == load.started
    done_once(panel, before + load.started)


def test_database_and_broker_restart_under_load_and_the_panel_recovers_by_itself(panel: Grown) -> None:
    before, browser = count(panel), panel.browser()
    with Load(panel) as load:
        wait_for(lambda: load.started > 2)
        panel.broker.stop(signal.SIGKILL)
        # Nobody's page fails for want of a broker: the job is in the database.
        answer = browser.post(f"{panel.url}/jobs/test/", token(browser), timeout=40)
        assert answer.status_code == 200
        panel.broker.start()
        panel.database.stop()
        time.sleep(2)
        panel.database.start()
        reached = load.started
        wait_for(lambda: load.started > reached + 1)
    # What was answered is kept; a request that met no database was told so, and may yet have been carried out.
    assert count(panel) - before >= load.started + 1
    done_once(panel, count(panel))
    assert "Sign out" in panel.browser().get(f"{panel.url}/jobs/", timeout=30).text
    assert all(process.poll() is None for process in panel.running.values())
