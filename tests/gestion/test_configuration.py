"""docs/configuration.md lists every setting."""

import io
import re

from django.conf import settings
from django.core.management import call_command

from gestion.settings_table import every_setting

READ = re.compile(r'(?:env\.\w+|own_secret)\(\s*"([A-Z][A-Z0-9_]+)"')
TOLD = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", re.MULTILINE)


def test_every_setting_that_is_read_is_in_the_table_once():
    read = set(READ.findall((settings.BASE_DIR / "gestion/settings.py").read_text()))
    told = TOLD.findall((settings.BASE_DIR / "docs/configuration.md").read_text())
    assert sorted(told) == sorted(set(told))
    assert read - set(told) == set(), "Add a row for each to docs/configuration.md."


def test_passwords_are_made_slow_to_guess():
    source = (settings.BASE_DIR / "gestion/settings.py").read_text()
    assert source.index("Argon2PasswordHasher") < source.index("PBKDF2PasswordHasher")


def test_the_table_tells_the_defaults_that_the_code_has():
    table = (settings.BASE_DIR / "docs/configuration.md").read_text()
    told = dict(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| *([^|]*?) *\|", table, re.MULTILINE))
    wrong = {}
    for setting in every_setting():
        default, words = setting.default, told[setting.name]
        exact = re.fullmatch(r"`([^`]+)`", words)
        if isinstance(default, bool):
            fits = words == f"`{str(default).lower()}`"
        elif isinstance(default, int):
            fits = words == f"`{default}`"
        elif isinstance(default, str) and default and exact:
            fits = exact[1] == default
        else:  # computed, or told in words
            fits = True
        if not fits:
            wrong[setting.name] = (default, words)
    assert wrong == {}


def test_list_settings_says_what_is_set_and_shows_no_secret(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hide-me-1")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hide-me-2@h/d")
    monkeypatch.setenv("JOBS_KEEP_DAYS", "7")
    out = io.StringIO()
    call_command("list_settings", stdout=out)
    assert "JOBS_KEEP_DAYS=7" in out.getvalue()
    assert "# BACKUP_STALL_SECONDS: 1800" in out.getvalue()
    assert "hide-me" not in out.getvalue()
