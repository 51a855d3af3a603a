"""The panel's own backup, restored into a fresh panel: on SQLite, and on PostgreSQL where the tests run on it."""

import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from secrets import token_hex

import psycopg2
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from gestion import checks
from gestion.environment import Environment
from gestion.panel_backup import archive, secrets_file
from gestion.panel_backup.restoring import refusals
from tests.databases import give
from tests.panel import ROOT, Panel

pytestmark = pytest.mark.services

PASSWORD = "correct horse battery"
SECRETS = ("SECRET_KEY", "GESTION_ENCRYPTION_KEYS", "VM_PASS_SECRET", "SAMBA_SECRET_KEY")
FILL = """
from django.core.management import call_command
from django.core.management.base import CommandError
call_command("migrate", verbosity=0)
from accounts.actors import Actor
from accounts.models import User
from jobs.services import start_job
user = User.objects.create_superuser("ada", "correct horse battery", email="ada@example.org")
start_job(Actor(user, "ada"), "jobs.check", "Waits", {{"seconds": 0}}, delay=99999, secrets=["a secret of old"])
call_command("backup_panel", "{file}")
"""
LOOK = """
from pathlib import Path
from accounts.models import AuditEntry, User
from django.contrib.sessions.models import Session
from gestion import checks
from gestion.panel_backup import archive, secrets_file
from jobs.models import Job
import json
with archive.opened(Path("{file}")) as found:
    fits = found.fits_our_keys()
print(json.dumps({{"users": list(User.objects.values_list("username", flat=True)),
  "jobs": list(Job.objects.values_list("title", "state", "acknowledged_by")), "fits": fits,
  "sessions": Session.objects.count(), "verbs": list(AuditEntry.objects.values_list("verb", flat=True))}}))
"""


class Data:
    """A panel's data, with management commands on it."""

    def __init__(self, folder: Path, **env: str) -> None:
        folder.mkdir()
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
        kept.pop("DATABASE_URL", None)
        self.env = {**kept, "DATA_DIR": str(folder), "GESTION_ENV_FILE": os.devnull, **env}

    def manage(self, *argv: str, good: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT, env=self.env, check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        return done.stdout + done.stderr

    def do(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "-c", code)


@pytest.fixture
def databases() -> Iterator[dict[str, dict[str, str]]]:
    """What `old` and `fresh` are told of their databases: nothing, or one each on the running PostgreSQL."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield {"old": {}, "fresh": {}}
        return
    # Of their own, for several processes that run tests have one PostgreSQL between them.
    names = {key: f"gestion_backup_{key}_{token_hex(4)}" for key in ("old", "fresh")}
    admin = psycopg2.connect(url)
    admin.autocommit = True
    with admin.cursor() as cursor:
        for name in names.values():
            cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield {
            key: {
                "DATABASE_URL": url.rsplit("/", 1)[0] + f"/{name}",
                **{secret: f"{key}-{secret}-" + "0123456789abcdef" * 4 for secret in SECRETS},
            }
            for key, name in names.items()
        }
    finally:
        with admin.cursor() as cursor:
            for name in names.values():
                cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.close()


def sign_in(panel: Panel) -> str:
    """The dashboard's HTML after signing in with the old panel's password."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = browser.open(f"{panel.url}/sign-in/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    form = {"csrfmiddlewaretoken": token[1], "username": "ada", "password": PASSWORD}
    return browser.open(f"{panel.url}/sign-in/", urllib.parse.urlencode(form).encode()).read().decode()


def test_a_backup_restored_into_a_fresh_panel_signs_in_and_reads_its_secrets(
    databases, tmp_path, ready_database
):
    old, fresh = (Data(tmp_path / name, **databases[name]) for name in ("old", "fresh"))
    give(ready_database, old.folder)
    file, secrets = tmp_path / "panel.tar", tmp_path / "secrets"
    old.do(FILL.format(file=file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert "has accounts already" in old.manage("restore_panel", str(file), good=False)
    assert "1 jobs that waited" in old.manage("restore_panel", str(file), "--replace")
    own = "DATABASE_URL" in fresh.env
    if own:
        assert "--secrets-to" in fresh.manage("restore_panel", str(file), good=False)
    fresh.manage("restore_panel", str(file), *(["--secrets-to", str(secrets)] if own else []))
    if own:
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        fresh.env.update(line.split("=", 1) for line in secrets.read_text().splitlines())
    found = json.loads(fresh.do(LOOK.format(file=file)).splitlines()[-1])
    assert found["users"] == ["ada"]
    assert found["jobs"] == [["Waits", "lost", "restore"]]
    assert found["sessions"] == 0
    assert "panel.restore" in found["verbs"]
    assert found["fits"] is True
    panel = Panel(fresh.folder)
    for name in (*SECRETS, "DATABASE_URL"):
        panel.env.pop(name, None)
    panel.env |= {name: fresh.env[name] for name in (*SECRETS, "DATABASE_URL") if name in fresh.env}
    with panel:
        assert "Sign out" in sign_in(panel)
        refused = fresh.manage("restore_panel", str(file), "--replace", good=False)
        assert "runs" in refused


@pytest.fixture
def written(transactional_db, admin, tmp_path) -> Path:
    """A backup of the database of the tests."""
    file = tmp_path / "panel.tar"
    archive.write(file, with_secrets=True)
    return file


def test_without_its_secrets_a_backup_is_only_for_who_has_them(transactional_db, settings, tmp_path):
    file = tmp_path / "panel.tar"
    archive.write(file, with_secrets=False)
    with tarfile.open(file) as tar:
        assert not {"secrets.env", "settings.env"} & set(tar.getnames())
    with archive.opened(file) as found:
        assert list(refusals(found, replace=False, secrets_go_somewhere=False)) == []
        settings.GESTION_ENCRYPTION_KEYS = ["another one " * 4]
        (words,) = refusals(found, replace=False, secrets_go_somewhere=False)
    assert "set GESTION_ENCRYPTION_KEYS" in words


def test_all_files_of_settings_are_in_it_where_there_are_several(transactional_db, monkeypatch, tmp_path):
    file, given, made = tmp_path / "panel.tar", tmp_path / "given.env", tmp_path / "made.env"
    given.write_text("EMAIL_FROM=panel@example.org")
    made.write_text("EMAIL_FROM=other@example.org\nTIME_ZONE=Europe/Paris\n")
    monkeypatch.setenv("GESTION_ENV_FILE", f"{given}:{tmp_path / 'missing.env'}:{made}")  # as in Docker
    archive.write(file, with_secrets=True)
    with tarfile.open(file) as tar:
        kept = tar.extractfile("settings.env")
        assert kept is not None
        (tmp_path / "kept.env").write_bytes(kept.read())
    read = type("Own", (Environment,), {"ENVIRON": {"GESTION_ENV_FILE": str(tmp_path / "kept.env")}})()
    read.read_files("GESTION_ENV_FILE", default="")
    assert (read.str("EMAIL_FROM"), read.str("TIME_ZONE")) == ("panel@example.org", "Europe/Paris")


def test_a_folder_keeps_the_newest_and_nothing_but_backups_goes(transactional_db, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    for name in ("gestion-20200101T000000Z.tar", "gestion-20200102T000000Z.tar", "other.tar"):
        (folder / name).write_text("x")
    call_command("backup_panel", str(folder), "--keep", "2", stdout=io.StringIO())
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3
    assert names[0] == "gestion-20200102T000000Z.tar"
    assert names[2] == "other.tar"


@pytest.mark.parametrize("harm", ["cut", "changed", "stranger", "nothing"])
def test_a_damaged_or_foreign_archive_is_refused(written, harm):
    whole = written.read_bytes()
    if harm == "cut":
        written.write_bytes(whole[: len(whole) // 2])
    elif harm == "changed":
        at = len(whole) // 2
        written.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    elif harm == "nothing":
        written.write_bytes(b"")
    else:
        _rewrite(written, "stranger")
    with pytest.raises(archive.ArchiveError, match=r"panel\.tar is no backup"), archive.opened(written):
        pass
    assert not (written.parent.parent / "escaped").exists()


def test_a_newer_panels_backup_and_one_of_a_panel_in_use_are_refused(written):
    _rewrite(written, "newer")
    with archive.opened(written) as found:
        newer, in_use = refusals(found, replace=False, secrets_go_somewhere=False)
    assert "jobs.9999_from_the_future" in newer
    assert "--replace" in in_use


def _rewrite(file: Path, harm: str) -> None:
    with tarfile.open(file) as tar:
        contents = {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}  # type: ignore[union-attr]
    manifest = json.loads(contents["manifest.json"])
    if harm == "newer":
        manifest["migrations"].append(["jobs", "9999_from_the_future"])
    else:
        manifest["sha256"]["../escaped"] = "0"
        contents["../escaped"] = b"x"
    contents["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(file, "w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_all_secrets_of_the_settings_are_known_to_the_backup(settings):
    source = (settings.BASE_DIR / "gestion/settings.py").read_text()
    made = set(re.findall(r'own_secret\(\s*"([A-Z_]+)"', source))
    assert made <= set(secrets_file.NAMES)


# What PostgreSQL's own programs of another version, or none, would be found as.
PG_DUMP = {"older": 'echo "pg_dump (PostgreSQL) 9.6.24"', "broken": 'echo "no such library" >&2; exit 127'}


@pytest.mark.skipif(
    not os.environ.get("DATABASE_URL"),
    reason="of PostgreSQL: part of the second run, python -m tests.production",
)
@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("missing", "pg_dump is missing: install Debian's postgresql-client; in Docker, build"),
        ("older", r"pg_dump is of PostgreSQL 9 and cannot read this server, which is of \d+: install .*client-\d+;"),
        ("broken", "pg_dump does not work: no such library"),
    ],
)  # fmt: skip
def test_without_a_pg_dump_that_fits_it_is_said_what_to_do(db, tmp_path, monkeypatch, which, words):
    if which in PG_DUMP:
        (tmp_path / "pg_dump").write_text(f"#!/bin/sh\n{PG_DUMP[which]}\n")
        (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}" if which == "missing" else f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CommandError, match=f"No backup was made. {words}"):
        call_command("backup_panel", str(tmp_path / "panel.tar"))
    assert not (tmp_path / "panel.tar").exists()
    said = checks.check_pg_dump() + checks.check_pg_dump_version(databases=["default"])
    assert [message.id for message in said] == ["gestion.W022"]
    assert re.match(words, said[0].msg)


def test_a_pg_dump_that_fits_is_nothing_to_speak_of(db):
    assert checks.check_pg_dump() == checks.check_pg_dump_version(databases=["default"]) == []
