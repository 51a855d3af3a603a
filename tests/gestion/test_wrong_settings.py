"""A setting that cannot be read ends the start with a sentence; one that does not fit is told by a check."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured

from gestion.settings_table import every_setting

SOURCE = django_settings.BASE_DIR / "gestion/settings.py"
ROOMS = {path.parent.name for path in django_settings.BASE_DIR.glob("*/checks.py")}
TOLD = re.findall(
    r"^\| `([A-Z_]+)` \|", (django_settings.BASE_DIR / "docs/configuration.md").read_text(), re.MULTILINE
)
SECRET = "hunter2-hunter2"
# Names of what people made, or words of theirs: any text can be one.
FREE = {
    "GESTION_VM_NAME",
    "PROXMOX_PASS",
    "BACKUP_SERVER",
    "CREATEVM_DEFAULT_GROUPS",
    "CREATEVM_DEFAULT_GROUPS_ALLOWED",
}
WRONG = {
    "ACME_CA_FILE": ["/not/there.pem"],
    "ACME_DIRECTORY": ["http://ca.example.org/", "foo"],
    "ACME_EMAIL": ["nobody"],
    "ALLOWED_HOSTS": ["other.example.org", "https://gestion.example.org"],
    "BACKUP_BASE_FOLDER": ["relative", "", "/srv/../etc", "~/backups"],
    "CELERY_BROKER_URL": ["foo", "ftp://h/", "redis://h:port/0", f"foo://u:{SECRET}@h"],
    "DATABASE_URL": ["foo", f"mysql://u:{SECRET}@h/n", "postgres://h", f"postgres://u:{SECRET}@h:port/n",
                     "sqlite:////not/there/x.sqlite3"],
    "DATA_DIR": ["/dev/null/x", "/dev/null"],
    "EMAIL_FROM": ["gestion", "@example.org", "a@"],
    "EMAIL_URL": ["", "foo", f"pop3://u:{SECRET}@h", "smtp://", f"smtp://u:{SECRET}@h:port", "smtp://h/?tls=maybe",
                  "smtp://h/?tsl=True", "smtps://h/?ssl=True"],
    "FABRIC_FOLDER": ["/not/there", "/dev/null"],
    "GESTION_ENV_FILE": ["/not/there", "/not/there:/nor/there"],
    "GESTION_ENCRYPTION_KEYS": ["short", ","],
    "GESTION_IP": ["the panel", "10.0.0.256"],
    "GESTION_NAME": ["the panel", "http://panel"],
    "GESTION_URL": ["http://[", "http://h:port/", "foo", "https://gestion.example.org/panel/"],
    "GIT_REPOS": ["x", "=/srv", "a=relative", "a=/not/there", "a=/not/there,b"],
    "GIT_REQUIRE_SIGNED": ["nobody"],
    "JOBS_SLOTS": ["x", "default=x", "default=0,backups=1", "default=-1,backups=1", "default=6", "backups=6", ""],
    "KEY_URL_NETWORKS": ["office"],
    "LANGUAGE_CODE": ["xx", ""],
    "LOG_LEVEL": ["LOUD", "", "3"],
    "MONITORING_TOKEN": ["short"],
    "PROXMOX_TOKEN": ["foo", SECRET],
    "PROXMOX_USER": ["root"],
    "REDIS_URL": ["foo", "http://h", f"redis://:{SECRET}@h:port/0", "redis://h:6379/first"],
    "REQUEST_DATABASE_SECONDS": ["-1", "x", "", "15m", "nan", "inf"],
    "REQUIRE_TWO_FACTOR": ["admin", ""],
    "RSA_MIN_BITS": ["512", "2048.5", "99999"],
    "SAMBA_SECRET_KEY": ["short"],
    "SAMBA_USER_PREFIX": ["Ü", "a" * 40],
    "SECRET_KEY": ["short"],
    "SETUP_FABRIC_ARGUMENTS": ["xyz", "=x"],
    "SETUP_FABRIC_SCRIPT": ["nope", "nope.setup", "../server.setup"],
    "STATIC_ROOT": ["/dev/null/x"],
    "TIME_ZONE": ["Mars/One", "", "Europe", "/etc/passwd", "../../etc/passwd"],
    "VM_PASS_SECRET": ["short"],
    "WEBHOOK_NETWORKS": ["10.0.0.0/33"],
    "WIZARDS_FOLDER": ["/not/there", "/dev/null"],
}  # fmt: skip
OF_KIND = {"bool": ["maybe", "tru", "-"], "int": ["x", "-1", "", "1.5", "1e3"]}
for _setting in every_setting():
    WRONG.setdefault(_setting.name, []).extend(OF_KIND.get(_setting.kind, []))
ZERO_IS_WRONG = [
    "BACKUPS_AT_ONCE",
    "JOBS_KEEP_DAYS",
    "BACKUP_STALL_SECONDS",
    "BACKUP_LONGEST_HOURS",
    "BACKUP_VERIFY_BYTES",
]
for _name in ZERO_IS_WRONG:
    WRONG[_name].append("0")
RIGHT = [
    ("TRUST_PROXY", "", "TRUST_PROXY", False),
    ("TRUST_PROXY", " Yes ", "TRUST_PROXY", True),
    ("BACKUP_SCHEDULE", "off", "BACKUP_SCHEDULE", False),
    ("DEBUG", "2", "DEBUG", True),
    ("REQUEST_DATABASE_SECONDS", "0", "REQUEST_DATABASE_SECONDS", 0.0),
    ("REQUEST_DATABASE_SECONDS", "2,5", "REQUEST_DATABASE_SECONDS", 2.5),
    ("KEYS_CACHE_BYTES", "0", "KEYS_CACHE_BYTES", 0),
    ("LOG_LEVEL", "debug", "LOGGING", None),
    ("REQUIRE_TWO_FACTOR", "Admins", "REQUIRE_TWO_FACTOR", "admins"),
    ("TIME_ZONE", "Europe/Berlin", "TIME_ZONE", "Europe/Berlin"),
    ("JOBS_SLOTS", "default=2, backups=3,own=1", "JOBS_SLOTS", {"default": 2, "backups": 3, "own": 1}),
    ("GIT_REPOS", "a=/srv/a,b=/srv/b=c,", "GIT_REPOS", {"a": "/srv/a", "b": "/srv/b=c"}),
    ("REDIS_URL", "", "CELERY_BROKER_URL", "embedded://here"),
    ("REDIS_URL", "redis+socket:///run/redis.sock", "CELERY_BROKER_URL", "redis+socket:///run/redis.sock"),
    ("CELERY_BROKER_URL", "amqp://u:p@h//", "CELERY_BROKER_URL", "amqp://u:p@h//"),
    ("DATABASE_URL", "", "EMBEDDED", True),
    ("EMAIL_URL", "smtp://u:p@h:587/?tls=True", "EMAIL_USE_TLS", True),
    ("EMAIL_URL", "smtp://u:p@h:465/?ssl=1", "EMAIL_USE_SSL", True),
    ("EMAIL_URL", "smtp+tls://u:p@h:587", "EMAIL_USE_TLS", True),
    ("EMAIL_FROM", "Gestion <gestion@example.org>", "DEFAULT_FROM_EMAIL", "Gestion <gestion@example.org>"),
    ("GESTION_ENV_FILE", "/not/there:/dev/null", "DEBUG", False),
]  # fmt: skip


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads settings.py anew, with nothing set but this; returns what it makes."""
    for setting in every_setting():
        monkeypatch.delenv(setting.name, raising=False)
    given = {"GESTION_ENV_FILE": os.devnull, "DATA_DIR": str(tmp_path)}

    def with_setting(name, value):
        if name == "ALLOWED_HOSTS":
            given["GESTION_URL"] = "https://gestion.example.net/"
        if name == "DATABASE_URL" and value:
            for secret in ("SECRET_KEY", "GESTION_ENCRYPTION_KEYS"):
                monkeypatch.setenv(secret, secret * 4)
        for one, text in {**given, name: value}.items():
            monkeypatch.setenv(one, text)
        return runpy.run_path(str(SOURCE), run_name="settings_read_anew")

    return with_setting


def told_by_checks(made, settings):
    for name, value in made.items():
        if (
            name.isupper()
            and name not in {"DATABASES", "LOGGING", "INSTALLED_APPS"}
            and hasattr(settings, name)
        ):
            setattr(settings, name, value)
    ours = [check for check in registry.get_checks() if check.__module__.partition(".")[0] in ROOMS]
    return [
        f"{one.msg} {one.hint}" for check in ours for one in check(app_configs=None, databases=None) or []
    ]


def test_each_setting_of_the_table_has_a_wrong_value_here():
    assert {name for name, values in WRONG.items() if values} == set(TOLD) - FREE


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_told_by_its_name_and_what_to_write(name, value, read, settings):
    try:
        made = read(name, value)
    except ImproperlyConfigured as error:
        told = [str(error)]
    else:
        told = told_by_checks(made, settings)
    about = [words for words in told if name in words]
    assert about, told
    assert all(re.search(r"\b(Write|Set|Make|Let|Add|Name|Clone)\b", words) for words in about), about
    assert all("\n" not in words and SECRET not in words for words in told)


@pytest.mark.parametrize(("name", "value", "setting", "expected"), RIGHT)
def test_what_was_right_stays_right(name, value, setting, expected, read):
    made = read(name, value)
    assert made["LOGGING"]["root"]["level"] == "DEBUG" if expected is None else made[setting] == expected


def test_a_file_of_settings_that_is_no_text_is_told(read, tmp_path):
    (tmp_path / "odd.env").write_bytes(b"TIME_ZONE=\xff\xfe\n")
    with pytest.raises(
        ImproperlyConfigured, match=r"GESTION_ENV_FILE names a file that cannot be read.*UTF-8"
    ):
        read("GESTION_ENV_FILE", str(tmp_path / "odd.env"))


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "setup_code"],
        ["manage.py", "panel"],
        ["-m", "celery", "--quiet", "-A", "gestion", "worker"],
        ["-m", "celery", "--quiet", "-A", "gestion", "beat"],
        ["-m", "gestion.web"],
        ["-m", "daphne", "gestion.asgi:application"],
    ],
)
def test_each_process_ends_with_the_sentence_alone(command, tmp_path):
    env = {**os.environ, "DATA_DIR": str(tmp_path), "JOBS_SLOTS": "default=x"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=SOURCE.parent.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "JOBS_SLOTS has “default=x”, which is not a number of 1 or more. "
        "Write JOBS_SLOTS=default=6,backups=6, with your own numbers.\n"
    )
