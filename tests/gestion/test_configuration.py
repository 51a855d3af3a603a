"""docs/configuration.md lists every setting."""

import re

from django.conf import settings

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
