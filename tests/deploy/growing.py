"""A panel as it grows: two web processes behind the shipped Caddyfile, two workers, a scheduler, real services."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import requests

from tests.panel import ROOT, free_port
from tests.services import Service, postgres_service, redis_service
from tests.waiting import wait_for

PASSWORD = "correct horse battery"
FILL = f"""
from django.core.management import call_command
from accounts.models import User
call_command("migrate", verbosity=0)
User.objects.create_superuser("ada", "{PASSWORD}", email="ada@example.org")
"""
WORKER = ["-m", "celery", "-q", "-A", "gestion", "worker", "-l", "INFO", "--without-gossip", "--without-mingle",
          "--without-heartbeat", "-Q"]  # fmt: skip
GOOD = 500  # what is below is an answer


class Grown:
    """The panel's processes by name; each can be ended and started again."""

    def __init__(self, folder: Path, database: Service, broker: Service) -> None:
        self.folder = folder
        self.database = database
        self.broker = broker
        self.ports = {"web1": free_port(), "web2": free_port()}
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {
            **os.environ,
            "GESTION_ENV_FILE": os.devnull,
            "DATA_DIR": str(folder / "data"),
            "GESTION_URL": f"{self.url}/",
            "TRUST_PROXY": "true",
            "DATABASE_URL": database.url,
            "CELERY_BROKER_URL": broker.url,
            "LOG_LEVEL": "WARNING",
            "JOBS_SLOTS": "default=20,backups=1",
        }

    def command(self, name: str) -> list[str]:
        """What to run for a process of this name."""
        python = sys.executable
        if name.startswith("web"):
            return [python, "-m", "gestion.web", "-b", "127.0.0.1", "-p", str(self.ports[name])]
        if name == "caddy":
            return ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        if name == "scheduler":
            return [python, "-m", "celery", "-q", "-A", "gestion", "beat", "--pidfile="]
        return [python, *WORKER, "default,backups"]

    def start(self, name: str) -> None:
        """Start a process; it may not be ready yet."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.command(name), cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a process and wait for it."""
        self.running[name].send_signal(how)
        self._await_end(name)

    def stop_all(self) -> None:
        """End all of them at once."""
        for process in self.running.values():
            process.terminate()
        for name in list(self.running):
            self._await_end(name)

    def _await_end(self, name: str) -> None:
        process = self.running.pop(name)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_ready(self, name: str) -> None:
        """Until a web process answers by itself, or a worker has said that it is there."""
        if name in self.ports:
            url = f"http://127.0.0.1:{self.ports[name]}/health/"
            wait_for(lambda: answers(url), 60, self.folder / f"{name}.log", name=name)
        else:
            pid = self.running[name].pid
            wait_for(
                lambda: self.rows("SELECT 1 FROM jobs_workerstate WHERE name LIKE %s", f"%:{pid}:%"),
                60, self.folder / f"{name}.log", name=name,
            )  # fmt: skip

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """What the database holds, asked past the panel."""
        with psycopg2.connect(self.database.url) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def manage(self, *argv: str) -> None:
        """A management command."""
        subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT, env=self.env, check=True, capture_output=True, timeout=180,
        )  # fmt: skip

    def browser(self) -> requests.Session:
        """Somebody who is signed in."""
        session = requests.Session()
        session.trust_env = False  # or the certificates that the environment names would go before ours
        session.verify = str(self.folder / "caddy/caddy/pki/authorities/local/root.crt")
        session.headers["Referer"] = f"{self.url}/"
        session.get(f"{self.url}/sign-in/", timeout=30)
        form = {"username": "ada", "password": PASSWORD}
        answer = session.post(f"{self.url}/sign-in/", {**form, **token(session)}, timeout=30)
        assert "Sign out" in answer.text, answer.text
        return session


def token(session: requests.Session) -> dict[str, str]:
    """The form field that shows that a form is of this browser."""
    return {"csrfmiddlewaretoken": session.cookies["csrftoken"] or ""}


def answers(url: str) -> bool:
    """Whether somebody serves there."""
    try:
        return requests.get(url, headers={"Host": "localhost"}, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def grown_panel(folder: Path) -> Iterator[Grown]:
    """All of it, with an account, ready. Raises MissingServiceError."""
    with postgres_service() as database, redis_service() as broker:
        panel = Grown(folder, database, broker)
        (folder / "data").mkdir()
        panel.env |= {
            "GESTION_HOST": "localhost",
            "GESTION_TLS": "internal",
            "GESTION_HTTPS_PORT": str(panel.port),
            "GESTION_HTTP_PORT": str(free_port()),
            "GESTION_UPSTREAMS": " ".join(f"127.0.0.1:{port}" for port in panel.ports.values()),
            "GESTION_STATIC": str(folder / "data"),
            "XDG_DATA_HOME": str(folder / "caddy"),
            "XDG_CONFIG_HOME": str(folder / "caddy"),
        }
        panel.manage("shell", "--no-imports", "-c", FILL)
        names = ["web1", "web2", "worker1", "worker2", "scheduler", "caddy"]
        try:
            for name in names:
                panel.start(name)
            for name in names[:4]:
                panel.wait_ready(name)
            root = folder / "caddy/caddy/pki/authorities/local/root.crt"
            wait_for(lambda: root.exists() and answers_by_https(panel, root), log=folder / "caddy.log")
            yield panel
        finally:
            panel.stop_all()


def answers_by_https(panel: Grown, root: Path) -> bool:
    """Whether Caddy has found a web process that is well."""
    try:
        return requests.get(f"{panel.url}/health/", verify=str(root), timeout=5).status_code == 200
    except requests.RequestException:
        return False


class Load:
    """People who look at pages and start short jobs until the block ends; `lost` are requests without an answer."""

    def __init__(self, panel: Grown, people: int = 3) -> None:
        self.panel = panel
        self._go_on = True
        self.browsers = [panel.browser() for _ in range(people)]
        self.people = people
        self._may_send_forms = True
        self._forms = threading.Semaphore(people)
        self.asked = 0
        self.started = 0
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(browser,)) for browser in self.browsers]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop asking; returns when all answers are there."""
        self._go_on = False
        for thread in self._threads:
            thread.join()

    def send_no_more_forms(self) -> None:
        """From now on only look at pages; returns when no form is under way any more."""
        self._may_send_forms = False
        for _person in range(self.people):
            self._forms.acquire()
        self._forms.release(self.people)

    def _ask(self, browser: requests.Session) -> None:
        number = 0
        while self._go_on:
            number += 1
            with self._forms:
                self._ask_once(browser, form=self._may_send_forms and number % 2 == 0)
            self.asked += 1
            time.sleep(0.1)

    def _ask_once(self, browser: requests.Session, *, form: bool) -> None:
        try:
            if form:
                answer = browser.post(
                    f"{self.panel.url}/jobs/test/", token(browser), timeout=40, allow_redirects=False
                )
            else:
                answer = browser.get(f"{self.panel.url}/jobs/", timeout=40)
            if answer.status_code >= GOOD:
                self.lost.append(f"{answer.request.method} {answer.status_code}")
            elif form:
                self.started += 1
        except requests.RequestException as error:
            self.lost.append(f"{'POST' if form else 'GET'} {type(error).__name__}")
