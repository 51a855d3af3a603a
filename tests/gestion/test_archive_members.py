"""An archive is read strictly: what `tarfile` would take and no backup of ours has is refused, and writes nothing."""

import io
import json
import os
import tarfile
from pathlib import Path

import environ
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gestion.panel_backup import archive, members, secrets_file


@pytest.fixture
def good(transactional_db, tmp_path) -> dict[str, bytes]:
    """The members of a backup of the database of the tests."""
    file = tmp_path / "good.tar"
    archive.write(file, with_secrets=True)
    with tarfile.open(file) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}  # type: ignore[union-attr]


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    for key, value in more.items():
        setattr(made, key, value)
    return made


def write(file: Path, parts: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for made, content in parts:
            tar.addfile(made, io.BytesIO(content))
    return file


def plain(parts: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(entry(name, len(content)), content) for name, content in parts.items()]


STRANGE = {
    "a link": entry("settings.env", kind=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": entry("settings.env", kind=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": entry("settings.env", kind=tarfile.CHRTYPE),
    "a pipe": entry("settings.env", kind=tarfile.FIFOTYPE),
    "a folder": entry("settings.env", kind=tarfile.DIRTYPE),
    "a file with holes": entry("settings.env", kind=tarfile.GNUTYPE_SPARSE),
    "an absolute name": entry("/etc/cron.d/gestion"),
    "a way out": entry("../escaped"),
    "a name of another": entry("x" * 90),
    "a long name": entry("x" * 300),
    "a file again": entry("secrets.env"),
    "another database": entry("database.pgdump"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_a_member_that_no_backup_has_is_refused(good, tmp_path, strange):
    good.pop("settings.env", None)
    file = write(tmp_path / "bad.tar", [*plain(good), (STRANGE[strange], b"")])
    with pytest.raises(archive.ArchiveError), archive.opened(file):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "good.tar"]


@pytest.mark.parametrize("name", ["manifest.json", "secrets.env", "settings.env"])
def test_a_small_member_is_not_read_when_it_is_big(good, tmp_path, name):
    file = tmp_path / "bad.tar"
    with file.open("wb") as out:
        out.write(entry(name, 2**33).tobuf(tarfile.GNU_FORMAT))
        out.truncate(2**33 + 1024)
    with pytest.raises(archive.ArchiveError, match="too big"), archive.opened(file):
        pass


def test_a_header_without_end_is_not_read(tmp_path):
    file = tmp_path / "bad.tar"
    with file.open("wb") as out:
        out.write(entry("x", 2**33, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT))
        out.truncate(2**33 + 1024)
    with pytest.raises(archive.ArchiveError, match="header is too long"), archive.opened(file):
        pass


@pytest.mark.parametrize(
    "line",
    ["X/e touch owned;=x", "PATH=/tmp", "LD_PRELOAD=/tmp/x.so", "export SECRET_KEY=x", "SECRET_KEY", "secret_key=x",
     "SECRET_KEY=a\0b", "SECRET_KEY=a\rPATH=b", "SECRET_KEY=a\x85b", "SECRET_KEY=", "SECRET_KEY=" + "x" * 5000,
     "DATABASE_URL=postgres://elsewhere", "", "SECRET_KEY=x" * 2 + "\nSECRET_KEY=y"],
)  # fmt: skip
def test_what_is_no_secret_of_a_panel_is_refused(good, tmp_path, line):
    text = f"VM_PASS_SECRET=good\n{line}\n".encode()
    manifest = json.loads(good["manifest.json"])
    (tmp_path / "secrets").write_bytes(text)
    manifest["sha256"]["secrets.env"] = archive._digest_of(tmp_path / "secrets")
    good |= {"secrets.env": text, "manifest.json": json.dumps(manifest).encode()}
    file = write(tmp_path / "bad.tar", plain(good))
    with pytest.raises(archive.ArchiveError), archive.opened(file):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [("url", "https://a\x1b]0;owned\x07"), ("made_at", "yesterday"), ("made_at", "--help"), ("version", "1\n2"),
     ("migrations", [["jobs", "0001\x1b[2J"]]), ("migrations", [["jobs"]]), ("migrations", 5), ("format", 2),
     ("database", "../x"), ("database", "secrets.env"), ("sha256", {}), ("sha256", []), ("seal", None)],
)  # fmt: skip
def test_a_list_that_says_what_none_says_is_refused(good, tmp_path, name, value):
    manifest = json.loads(good["manifest.json"]) | {name: value}
    good["manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(archive.ArchiveError), archive.opened(write(tmp_path / "bad.tar", plain(good))):
        pass


@pytest.mark.parametrize("text", [b"[" * 100_000, b"", b"\xff", b"null", b'{"format": 1}'])
def test_a_list_that_is_none_is_refused(good, tmp_path, text):
    good["manifest.json"] = text
    with pytest.raises(archive.ArchiveError), archive.opened(write(tmp_path / "bad.tar", plain(good))):
        pass


def test_a_file_of_more_than_eight_gibibytes_is_found_by_its_long_header(tmp_path):
    made = entry("database.sqlite3", 2**33 + 5)
    head = made.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(ValueError, match="cut short"):
        members.unpack(io.BytesIO(head + b"x" * 5000), tmp_path)
    assert (tmp_path / "database.sqlite3").stat().st_size == 0


@given(st.binary(max_size=3000), st.integers(0, 20_000))
def test_whatever_the_bytes_are_it_is_read_or_refused(tmp_path_factory, harm, at):
    folder = tmp_path_factory.mktemp("members")
    whole = bytearray(
        b"".join(e.tobuf() + c for e, c in plain({"manifest.json": b"{}".ljust(512)})).ljust(20_480, b"\0")
    )
    whole[at : at + len(harm)] = harm
    try:
        names = members.unpack(io.BytesIO(bytes(whole)), folder)
    except (ValueError, tarfile.TarError):
        return
    assert names <= {*members.MOST, *members.DATABASES}
    assert {path.name for path in folder.iterdir()} == names


@given(st.text(min_size=1, max_size=100).filter(lambda text: not text.startswith("$")))
def test_a_secret_reads_back_from_a_file_of_settings_as_it_was(text):
    try:
        line = secrets_file.line("SECRET_KEY", text)
    except ValueError:
        assert "\0" in text or text.splitlines() != [text]
        return
    kept = os.environ.pop("SECRET_KEY", None)
    try:
        environ.Env.read_env(io.StringIO(f"A=b\n{line}C=d\n"), overwrite=True)
        assert environ.Env().str("SECRET_KEY") == text
    finally:
        os.environ.pop("SECRET_KEY", None)
        if kept is not None:
            os.environ["SECRET_KEY"] = kept


def test_a_secret_that_names_another_setting_is_refused():
    with pytest.raises(ValueError, match="begins with"):
        secrets_file.line("SECRET_KEY", "$DATABASE_URL")
