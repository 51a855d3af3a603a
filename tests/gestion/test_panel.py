"""`manage.py panel`: all processes of the embedded panel."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.panel import ROOT, Panel
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.services


@pytest.fixture
def panel(data_folder):
    with Panel(data_folder) as started:
        yield started


def children(panel: Panel) -> dict[str, psutil.Process]:
    assert panel._process
    found = {}
    for child in psutil.Process(panel._process.pid).children():
        with suppress(psutil.NoSuchProcess):  # gone since it was listed
            if child.status() != psutil.STATUS_ZOMBIE:
                found["web" if "daphne" in " ".join(child.cmdline()) else "worker"] = child
    return found


def test_web_worker_and_scheduler_come_up_and_go_down_together(tmp_path):
    with Panel(tmp_path) as panel:
        assert panel.answers()
        running = children(panel)
        assert set(running) == {"web", "worker"}
        wait_for(lambda: f"Gestion answers at http://127.0.0.1:{panel.port}/" in panel.log.read_text())
        assert panel.manage("setup_code", "--plain").strip() in panel.log.read_text()
    assert panel._process
    assert panel._process.returncode == 0
    assert not any(process.is_running() for process in running.values())


def test_a_process_that_dies_is_started_again(panel):
    before = children(panel)["worker"]
    before.kill()
    wait_for(lambda: (now := children(panel).get("worker")) and now.pid != before.pid)
    assert "it starts again" in panel.log.read_text()


def test_a_second_panel_on_the_same_data_is_refused(panel):
    second = subprocess.run(
        [sys.executable, "manage.py", "panel"],
        cwd=ROOT,
        env=panel.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert str(panel._process.pid) in second.stderr


def test_no_orphan_stays_when_the_launcher_is_killed(panel):
    running = list(children(panel).values())
    os.kill(panel._process.pid, signal.SIGKILL)
    panel._process.wait()
    _gone, alive = psutil.wait_procs(running, PATIENCE_SECONDS)
    assert not alive
    panel.start()  # and the lock is free
    assert panel.answers()


def test_several_addresses_can_be_named(data_folder):
    with Panel(data_folder, also_at=["127.0.0.2"]) as panel:
        listening = {
            item.laddr[:2] for item in children(panel)["web"].net_connections() if item.status == "LISTEN"
        }
    assert listening == {("127.0.0.1", panel.port), ("127.0.0.2", panel.port)}


def test_a_port_that_is_taken_is_told_with_what_to_do_and_nobody_elses_panel_is_called_ours(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        refused = subprocess.run(
            [sys.executable, "manage.py", "panel", "--bind", bind],
            cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert refused.returncode == 1
    assert f"Nobody can listen at {bind}: Address already in use." in refused.stderr
    assert "Gestion answers" not in refused.stdout


@pytest.mark.parametrize("bind", ["8000", "host:99999", "::1:8000", "127.0.0.1:x"])
def test_an_address_that_is_none_is_refused(bind, tmp_path):
    refused = subprocess.run(
        [sys.executable, "manage.py", "panel", "--bind", bind],
        cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "is not host:port" in refused.stderr
