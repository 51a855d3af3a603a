"""The sprite of icons."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from pages.icons import ICONS, sprite

USED_IN_TEMPLATE = re.compile(r'{%\s*icon\s+"([^"]+)"|(?:icon_name|icon)="([a-z0-9-]+)"')
USED_IN_PYTHON = re.compile(r'NavItem\(\s*_?[a-z_]*\("[^"]*"\),\s*"[^"]*",\s*"([^"]+)"|icon="([^"]+)"')


def used() -> set[str]:
    found = set()
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        found |= {a or b for a, b in USED_IN_TEMPLATE.findall(path.read_text())}
    for path in settings.BASE_DIR.glob("*/*.py"):
        found |= {a or b for a, b in USED_IN_PYTHON.findall(path.read_text())}
    return found


def test_every_used_icon_is_in_the_sprite():
    packed = set(re.findall(r'<symbol id="([^"]+)"', (settings.BASE_DIR / "static/icons.svg").read_text()))
    missing = used() - packed
    assert not missing, f"Add {sorted(missing)} to pages/icons.txt and run manage.py make_icons."


def test_the_list_of_icons_is_sorted_and_each_is_once():
    assert list(ICONS) == sorted(set(ICONS))


def test_the_sprite_is_what_the_list_makes():
    folder = settings.BASE_DIR / "node_modules/@tabler/icons/icons/outline"
    if not folder.is_dir():
        pytest.skip("node_modules lacks @tabler/icons; run npm ci")
    assert Path(settings.BASE_DIR / "static/icons.svg").read_text() == sprite(folder)
