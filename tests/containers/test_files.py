"""What of the shipped files can be told without an engine."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from django.conf import settings

ROOT = settings.BASE_DIR


def script(name: str) -> ModuleType:
    """A script of deploy/docker as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "docker" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def secrets_folder(tmp_path: Path) -> Path:
    for name in ("panel", "postgres", "redis"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_secrets_are_made_once_and_never_replaced(tmp_path: Path) -> None:
    make = script("make_secrets").make
    folder = secrets_folder(tmp_path)
    assert "SECRET_KEY" in make(folder)
    first = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert make(folder) == []
    assert {path: path.read_text() for path in folder.rglob("*") if path.is_file()} == first
    values = dict(line.split("=", 1) for line in first[folder / "panel" / "gestion.env"].splitlines())
    assert values["POSTGRES_PASSWORD"] == first[folder / "postgres" / "password"]
    assert values["POSTGRES_PASSWORD"] in values["DATABASE_URL"]
    assert len(set(values.values())) == len(values)
    assert stat.S_IMODE((folder / "panel" / "gestion.env").stat().st_mode) == 0o400


def test_a_secret_that_a_later_version_wants_is_added(tmp_path: Path) -> None:
    make = script("make_secrets").make
    folder = secrets_folder(tmp_path)
    make(folder)
    kept = folder / "panel" / "gestion.env"
    lines = kept.read_text().splitlines()
    kept.unlink()
    kept.write_text("\n".join(line for line in lines if not line.startswith("SAMBA_SECRET_KEY=")))
    assert make(folder) == ["SAMBA_SECRET_KEY"]
    assert set(lines[:3]) <= set(kept.read_text().splitlines())


def test_of_several_files_with_settings_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("TIME_ZONE=Europe/Berlin\n")
    (tmp_path / "made").write_text("TIME_ZONE=Asia/Tokyo\nLANGUAGE_CODE=en-us\n")
    env = {**os.environ, "GESTION_ENV_FILE": f"{tmp_path}/own:{tmp_path}/missing:{tmp_path}/made"}
    env |= {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "gestion.settings"}
    code = "from django.conf import settings; print(settings.TIME_ZONE, settings.LANGUAGE_CODE)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Europe/Berlin", "en-us"]


def test_every_room_is_in_the_image() -> None:
    taken = (ROOT / ".dockerignore").read_text().splitlines()
    rooms = [name for name in settings.INSTALLED_APPS if (ROOT / name).is_dir()]
    assert len(rooms) > 10
    assert [name for name in (*rooms, "hosts", "templates", "static") if f"!{name}" not in taken] == []
    assert taken[1] == "*"


def test_base_images_are_pinned() -> None:
    texts = (ROOT / "Dockerfile").read_text() + (ROOT / "docker-compose.yml").read_text()
    names = re.findall(r"_IMAGE(?:=|:-)([\w./:-]+)", texts)
    assert len(names) >= 5
    assert [name for name in names if not re.search(r":\d+\.\d+\.?\d*", name)] == []
