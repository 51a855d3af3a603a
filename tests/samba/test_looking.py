"""What lies in a base folder: every name is listed, each offered or with the reason why not."""

import json
import os
import subprocess
from pathlib import Path
from typing import cast

import pytest
from django.urls import reverse

from backups.models import Backup
from hosts.host import Host, Result
from samba.configs import FOLDER
from samba.desired_shares import list_command
from samba.looking import MOST, Entry, free_name, look_into, offers
from samba.models import FolderLook, Share
from tests.attackers import needs_root

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}


class Here:
    """This machine in the place of a host: runs what a host would run."""

    def run(self, argv: tuple[str, ...], **_more: object) -> Result:
        """Run it, and give what it said."""
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        return Result(done.returncode, done.stdout, done.stderr, argv=argv)


@pytest.fixture
def base(rows, tmp_path: Path) -> Path:
    """The base folder of files1, on this machine."""
    needs_root()
    tmp_path.chmod(0o755)
    base = tmp_path / "base"
    base.mkdir(mode=0o755)
    rows.files1.samba_base_folder = str(base)
    rows.files1.save()
    return base


def look(rows) -> FolderLook:
    return look_into(rows.files1, cast("Host", Here()))


def test_every_name_is_listed_with_the_reason_why_not(rows, base: Path):
    good = [
        "Carols Pics",
        "Fotos-José",
        "data$",
        "ends with space ",
        "100%",
        "[alt]",
        "-rf",
        ".hidden",
        "a'b\"c",
        "日本",
    ]
    bad = {
        "two  spaces": "two spaces",
        "50%off": "%o",
        "tab\there": "U+0009",
        "new\nline": "U+000A",
        "lost+found": "file system",
    }
    for name in [*good, *bad]:
        (base / name).mkdir()
    Path(os.fsdecode(os.fsencode(base) + b"/latin-\xe9")).mkdir()
    (base / "link").symlink_to("data$")
    (base / "file").touch()
    for share, folder in (("photos", "photos"), ("inner", "team/inner")):
        rows.share(share, folder=folder)
        (base / folder).mkdir(parents=True)
    found = {offer.entry.name: offer for offer in offers(look(rows))}
    assert set(found) == {*good, *bad, "latin-\\xe9", "link", "file", "photos", "team"}
    assert {name for name, offer in found.items() if not offer.why_not} == set(good)
    for name, words in bad.items():
        assert words in found[name].why_not, name
        assert ("Rename it" in found[name].why_not) == (name != "lost+found")
    reasons = {
        "latin-\\xe9": "UTF-8",
        "link": "link",
        "file": "no folder",
        "photos": "the share photos",
        "team": "inner",
    }
    for name, words in reasons.items():
        assert words in found[name].why_not, name
    for name in good:  # what is offered is taken
        assert rows.share(f"share {good.index(name)}", folder=name, adopt=True).folder == name


def test_copies_of_a_backup_are_not_offered(rows, base: Path):
    (base / "backups/web1").mkdir(parents=True)
    backup = Backup.objects.create(
        source=rows.web1, destination=rows.files1, destination_folder=f"{base}/backups/web1"
    )
    (offer,) = offers(look(rows))
    assert f"the copies of the backup {backup} are there" in offer.why_not


def test_a_folder_in_which_a_unix_user_lives_is_not_offered(rows, base: Path):
    """The server would not take it over, and roll out no other share until somebody has deleted this one."""
    passwd = base.parent / "passwd"
    users = [
        ("carol", "carol", "/bin/bash"),
        ("dave", "pics/dave", "/bin/sh"),
        ("ftp2", "ftp", "/usr/sbin/nologin"),
        ("erin", "../home/erin", "/bin/bash"),
    ]
    lines = [f"{name}:x:4242:4242::{base}/{home}:{shell}\n" for name, home, shell in users]
    passwd.write_text(Path("/etc/passwd").read_text() + "".join(lines))
    (base.parent / "home").symlink_to(base)  # as where /home is a link to the disk of the shares
    for folder in ("carol", "carol2", "erin", "ftp", "pics"):
        (base / folder).mkdir()

    class There(Here):
        """This machine with these unix users."""

        def run(self, argv: tuple[str, ...], **_more: object) -> Result:
            script = 'mount --bind "$0" /etc/passwd && exec "$@"'
            return super().run(
                ("unshare", "-m", "--propagation", "private", "sh", "-c", script, str(passwd), *argv)
            )

    found = look_into(rows.files1, cast("Host", There()))
    why = {offer.entry.name: offer.why_not for offer in offers(found)}
    assert [name for name, words in why.items() if not words] == ["carol2", "ftp"]
    assert "carol lives in it" in why["carol"]
    assert "dave lives in it" in why["pics"]
    assert "erin lives in it" in why["erin"]


def test_how_much_lies_in_it_and_whose_it_is(rows, base: Path):
    pics = base / "pics"
    (pics / "in").mkdir(parents=True)
    for name in ("a", "in/b"):
        (pics / name).touch()
        os.chown(pics / name, 12345, 12345)
    os.link(pics / "a", base / "second")
    entry = Entry(**look(rows).entries[0])
    assert (entry.name, entry.owner, entry.things, entry.stays, entry.part) == ("pics", "root", 3, 1, False)
    assert entry.whose == "root 1, 12345 1"


def test_a_base_folder_in_which_others_may_write_offers_nothing(rows, base: Path):
    (base / "pics").mkdir()
    base.chmod(0o777)
    (offer,) = offers(look(rows))
    assert "Others than root" in offer.why_not


def test_the_page_offers_a_folder_and_the_form_is_filled_in(admin_client, member_client, rows, base: Path):
    (base / "Carols Pics ").mkdir()
    (base / "Carols Pics " / "a").touch()
    page = reverse("samba:folders", args=[rows.files1.pk])
    assert "Nobody has looked yet" in admin_client.get(page).content.decode()
    assert member_client.get(page).status_code == 403
    assert admin_client.get(reverse("samba:folders", args=[rows.web1.pk])).status_code == 404
    look(rows)
    (listed,) = admin_client.get(page, headers=JSON).json()["folders"]
    assert (listed["name"], listed["why_not"], listed["things"]) == ("Carols Pics ", "", 1)
    new = f"/samba/shares/new/?server={rows.files1.pk}&folder=Carols%20Pics%20"
    assert new.replace("&", "&amp;") in admin_client.get(page).content.decode()
    form = admin_client.get(new).content.decode()
    assert "1 thing lies in it (root 1)" in form
    assert 'value="Carols Pics "' in form
    body = {"server": rows.files1.pk, "name": "Carols Pics", "folder": "Carols Pics ", "adopt": True}
    answer = admin_client.post(
        "/samba/shares/new/", json.dumps(body), content_type="application/json", headers=JSON
    )
    assert answer.json()["path"] == f"{base}/Carols Pics "
    share = Share.objects.get()
    assert share.get_absolute_url() in admin_client.get(page).content.decode()


def test_that_more_lies_there_than_is_listed_is_said(admin_client, rows, base: Path):
    for number in range(MOST + 3):
        (base / f"{number:05}").touch()
    look(rows)
    page = reverse("samba:folders", args=[rows.files1.pk])
    answer = admin_client.get(page, headers=JSON).json()
    assert (answer["names"], len(answer["folders"])) == (MOST + 3, MOST)
    text = admin_client.get(page).content.decode()
    assert "5003 names" in text
    assert "Of 5003 names only the first 5000 are listed." in text


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Carols Pics ", "Carols Pics"), ("a;b", "a-b"), ("[alt]", "-alt-"), ("Jose\u0301", "José"), ("dots..", "dots"),
     ("homes", ""), ("team/x", "x"), ("x" * 200, "x" * 40), ("PHOTOS", "")],
)  # fmt: skip
def test_the_name_that_is_proposed_is_one(rows, folder, name):
    rows.share("photos")
    assert free_name(rows.files1, folder) == name


def test_the_base_folder_comes_as_an_argument_and_nothing_of_it_is_code():
    argv = list_command("/srv/$(touch /tmp/x)'; x")
    assert argv[-2:] == ("list", "/srv/$(touch /tmp/x)'; x")
    assert argv[2] == "\n".join(part.read_text() for part in sorted((FOLDER / "samba-shares").glob("*.sh")))
