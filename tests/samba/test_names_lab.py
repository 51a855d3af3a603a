"""Names, folders and comments as offices have them, on a real Samba server: seen and reached as they were typed."""

import pytest

from lab import Fleet
from samba.models import Share
from samba.names import same_name
from samba.services.shares import change_share
from servers.models import RolloutState
from tests.lab_fixtures import LabKey
from tests.samba.lab_rows import BASE, SYSTEM, Ground, ground, password_of
from tests.samba.test_names import GOOD_COMMENTS, GOOD_FOLDERS, GOOD_NAMES

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def samba(fleet: Fleet, lab_key: LabKey) -> Ground:
    """files1, clean."""
    return ground(fleet, lab_key)


def listed(samba: Ground, share: Share) -> dict[str, str]:
    """The shares and comments that a client on another host sees, signed in as the user of `share`."""
    login = f"username = {share.user}\npassword = {password_of(share)}\n".encode()
    argv = ["smbclient", "-g", "-L", samba.host.address, "-A", "/dev/stdin"]
    lines = samba.client.exec(argv, stdin=login).stdout.decode().split("\n")
    rows = [line.split("|", 2) for line in lines if line.startswith("Disk|")]
    return {name: comment for _kind, name, comment in rows}


def test_every_name_folder_and_comment_is_what_clients_get(samba: Ground):
    """As many shares as the longest of the three lists; each folder lies there already, with a file of its own."""
    count = max(len(GOOD_NAMES), len(GOOD_FOLDERS), len(GOOD_COMMENTS))
    nested = {"photos"}  # would lie around another one
    folders = [folder for folder in GOOD_FOLDERS if folder not in nested]
    folders += [f"more {number}" for number in range(count - len(folders))]
    for number, folder in enumerate(folders):
        argv = ["sh", "-c", 'mkdir -p -- "$0/$1" && printf %s "$2" >"$0/$1/which"', BASE, folder, str(number)]
        samba.host.exec(argv).check_returncode()
    shares = []
    for number in range(count):
        name = GOOD_NAMES[number] if number < len(GOOD_NAMES) else f"name {number}"
        comment = GOOD_COMMENTS[number] if number < len(GOOD_COMMENTS) else ""
        shares.append(samba.share(name, folder=folders[number], comment=comment, adopt=True))
    samba.in_sync()
    seen = listed(samba, shares[0])
    for number, share in enumerate(shares):
        assert seen[share.name] == share.comment
        done = samba.as_user(share, "get which -")
        assert str(number).encode() in done.stdout.splitlines()[:1], (share.name, done.stdout, done.stderr)
        assert samba.sh(f"getent passwd {share.user} | cut -d: -f5") == f"Gestion share {share.name}"
    assert samba.again().state == RolloutState.IN_SYNC


def test_another_name_leaves_user_password_and_data(samba: Ground):
    share = samba.share("photos")
    samba.in_sync()
    samba.as_user(share, "put /etc/hostname a")
    word = password_of(share)
    change_share(SYSTEM, Share(pk=share.pk, server=share.server, name="Fotos José"), version=1)
    samba.in_sync()
    assert b"NT_STATUS_BAD_NETWORK_NAME" in samba.smb("photos", "ls", "smb-photos", word).stdout
    assert samba.smb("Fotos José", "get a -", "smb-photos", word).stdout.startswith(b"backup1")
    assert samba.sh("getent passwd smb-photos | cut -d: -f5") == "Gestion share Fotos José"


def test_a_name_that_differs_from_one_of_smb_conf_in_case_alone_is_taken(samba: Ground):
    samba.sh("printf '[ÜBERGABE]\\npath = /tmp\\n' >> /etc/samba/smb.conf")
    samba.share("Übergabe")
    rollout = samba.roll_out()
    assert rollout.state == RolloutState.FAILED
    assert "shares of these names already" in rollout.why


def test_another_character_set_of_samba_is_told(samba: Ground):
    samba.sh("sed -i '/^\\[global\\]/a unix charset = ISO-8859-1' /etc/samba/smb.conf")
    samba.share("Übergabe")
    assert "unix charset = ISO-8859-1" in samba.roll_out().why


def test_no_share_is_let_in_that_samba_would_make_one_with_another(samba: Ground):
    """What Samba takes for one name, a share each of a pair of letters; the panel must see all of them."""
    letters = [chr(code) for code in range(0xA1, 0x600) if chr(code).isalpha()]
    pairs = {(one, one.swapcase()) for one in letters if len(one.swapcase()) == 1} | {
        ("ΣΑΣ", "σασ"),
        ("σας", "σασ"),
    }
    pairs = {pair for pair in pairs if pair[0] != pair[1]}
    names = [(f"{number} {one}", f"{number} {other}") for number, (one, other) in enumerate(sorted(pairs))]
    text = "".join(f"[{name}]\npath = /tmp\n" for pair in names for name in pair)
    samba.host.exec(["sh", "-c", "cat > /root/pairs.conf"], stdin=text.encode()).check_returncode()
    read = samba.sh("testparm -s /root/pairs.conf 2>/dev/null").split("\n")
    merged = [pair for pair in names if not all(f"[{name}]" in read for name in pair)]
    assert len(merged) > 100
    assert [pair for pair in merged if same_name(pair[0]) != same_name(pair[1])] == []
