"""What stands in the way on a real Samba server: said in words, and the old state stays."""

import configparser
import contextlib

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import Fleet
from samba.desired_shares import shares_on, shares_text
from samba.forms.shares import ShareForm
from samba.models import Share
from samba.services.shares import create_share
from servers.models import RolloutState
from servers.services import look_closer
from tests.jobs.working import work_off
from tests.lab_fixtures import LabKey
from tests.samba.lab_rows import BASE, SYSTEM, Ground, ground
from tests.samba.smb_conf_reader import served_path, shown_comment
from tests.samba.test_names import BAD_FOLDERS, BAD_NAMES, GOOD_COMMENTS, GOOD_FOLDERS, GOOD_NAMES

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
FILES = "/etc/samba/smb.conf /etc/smb.shares.conf /etc/passwd /etc/shadow /etc/group"
STATE = f"sha256sum {FILES}; pdbedit -Lw; stat -c '%n %U %G %a' /srv/shares/*"
NO_USERS = "#!/bin/sh\\necho no more users >&2; exit 1\\n"


@pytest.fixture
def samba(fleet: Fleet, lab_key: LabKey) -> Ground:
    """files1, clean."""
    return ground(fleet, lab_key)


IN_THE_WAY = {
    "a broken smb.conf": ("printf '[glob' >> /etc/samba/smb.conf", "/etc/samba/smb.conf"),
    "SMB1": ("sed -i '/^\\[global\\]/a server min protocol = NT1' /etc/samba/smb.conf", "allows SMB1"),
    "a share of that name": (
        "printf '[New]\\npath = /tmp\\n' >> /etc/samba/smb.conf",
        "shares of these names",
    ),
    "a unix user": ("useradd smb-new", "The unix user smb-new is there already"),
    "a unix group": ("groupadd smb-new", "The unix group smb-new is there already"),
    "a folder": ("mkdir /srv/shares/new", "is there already"),
    "a file": ("touch /srv/shares/new", "is no folder"),
    "a link": ("ln -s /etc /srv/shares/new", "symbolic link"),
    "no pdbedit": ("mv /usr/bin/pdbedit /usr/bin/pdbedit.away", "pdbedit is missing"),
    "a user that cannot be made": (
        f"printf '{NO_USERS}' > /usr/local/sbin/useradd; chmod +x /usr/local/sbin/useradd",
        "could not be made",
    ),
    "Samba lets nobody in": (
        "sed -i '/^\\[global\\]/a invalid users = smb-new' /etc/samba/smb.conf; smbcontrol smbd reload-config",
        "does not let its user smb-new in",
    ),
}
TIDY = """
[ ! -e /usr/bin/pdbedit.away ] || mv /usr/bin/pdbedit.away /usr/bin/pdbedit
rm -rf /usr/local/sbin/useradd /srv/shares/new; userdel smb-new; groupdel smb-new
cp -a /root/before /etc/samba/smb.conf; smbcontrol smbd reload-config
"""


def test_what_is_in_the_way_is_said_and_the_old_state_stays(samba: Ground):
    old = samba.share("old")
    samba.in_sync()
    for what, (disturb, words) in IN_THE_WAY.items():
        samba.sh("cp -a /etc/samba/smb.conf /root/before")
        samba.sh(disturb)
        before = samba.sh(STATE)
        share = create_share(SYSTEM, Share(server=samba.server, name="new"))
        rollout = samba.roll_out()
        assert rollout.state == RolloutState.FAILED, what
        assert words in rollout.why, f"{what}: {rollout.why}"
        assert samba.sh(STATE) == before, what
        share.delete()
        samba.sh(TIDY)
        done = samba.as_user(old, "ls")
        assert b"NT_STATUS" not in done.stdout + done.stderr, what
    assert samba.again().state == RolloutState.IN_SYNC


def test_the_first_share_that_cannot_be_leaves_nothing(samba: Ground):
    before = samba.sh(STATE)
    samba.sh(
        "sed -i '/^\\[global\\]/a invalid users = smb-photos' /etc/samba/smb.conf; smbcontrol smbd reload-config"
    )
    samba.share("photos")
    rollout = samba.roll_out()
    assert "does not let its user" in rollout.why
    samba.sh("cp -a /root/smb.conf /etc/samba/smb.conf; smbcontrol smbd reload-config")
    assert samba.sh(STATE) == before
    assert samba.again().state == RolloutState.IN_SYNC


def test_what_somebody_changes_by_hand_is_seen_and_put_right(samba: Ground):
    photos = samba.share("photos")
    samba.in_sync()
    for disturb, words in {
        "usermod -s /bin/sh smb-photos": "has the shell /bin/sh",
        "echo smb-photos:secret | chpasswd": "a password of its own",
        "(echo x; echo x) | smbpasswd -s smb-photos": "is not the one of the share",
        "pdbedit -x -u smb-photos >/dev/null": "is not the one of the share",
        "useradd -M -N smb-between; userdel smb-photos": "The unix user smb-photos",
        "chown root /srv/shares/photos": "The folder /srv/shares/photos is root",
        "chmod 777 /srv/shares/photos": "777",
        "sed -i '/smb.shares.conf/d' /etc/samba/smb.conf": "does not include",
        "useradd -M -c 'Gestion share gone' smb-gone": "smb-gone belongs to no share",
        "systemctl stop smbd": "smbd does not run",
        "echo '# x' >> /etc/smb.shares.conf": "-# x",
    }.items():
        samba.sh(disturb)
        look_closer(SYSTEM, samba.server)
        work_off()
        rollout = samba.server.rollouts.get(kind="samba")
        assert rollout.state == RolloutState.DRIFTED, disturb
        assert words in rollout.diff, f"{disturb}: {rollout.diff}"
        if "chown" in disturb or "userdel" in disturb:
            Share.objects.update(adopt=True)  # root's folder is taken over only when somebody says so
        rollout = samba.again()
        assert rollout.state == RolloutState.IN_SYNC, f"{disturb}: {rollout.why}"
        done = samba.as_user(photos, "ls")
        assert b"NT_STATUS" not in done.stdout + done.stderr, disturb
    assert "smb-gone" not in samba.sh("getent passwd")
    assert samba.sh("grep -c smb.shares.conf /etc/samba/smb.conf") == "1"


def test_a_folder_whose_disk_is_not_mounted_is_not_made_anew(samba: Ground):
    samba.share("photos")
    samba.in_sync()
    samba.sh(f"mv {BASE}/photos /srv/disk")
    rollout = samba.again()
    assert rollout.state == RolloutState.FAILED
    assert "Is its disk mounted?" in rollout.why
    assert samba.sh(f"ls {BASE}") == ""
    samba.sh(f"mv /srv/disk {BASE}/photos")
    assert samba.again().state == RolloutState.IN_SYNC


def test_an_include_line_and_other_bytes_of_somebody_else_stay(samba: Ground):
    samba.sh("printf '[x]\\npath = /tmp\\n# last line \\\\' >> /etc/samba/smb.conf; chmod 640 /etc/samba/smb.conf; "
             "chgrp adm /etc/samba/smb.conf; cp -a /etc/samba/smb.conf /root/theirs")  # fmt: skip
    photos = samba.share("photos")
    samba.in_sync()
    size = samba.sh("stat -c %s /root/theirs")
    assert samba.sh(
        f"head -c {size} /etc/samba/smb.conf | cmp - /root/theirs && stat -c '%a %G' /etc/samba/smb.conf"
    ) == ("640 adm")
    assert b"NT_STATUS" not in samba.as_user(photos, "ls").stderr
    samba.sh(
        "cp /root/smb.conf /etc/samba/smb.conf; echo '  Include=/etc/smb.shares.conf ' >> /etc/samba/smb.conf"
    )
    sum_ = samba.sh("sha256sum /etc/samba/smb.conf")
    samba.share("music")
    samba.in_sync()
    assert samba.sh("sha256sum /etc/samba/smb.conf") == sum_


TYPED = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from([*GOOD_NAMES, *BAD_NAMES]),
        st.text(st.characters(codec="utf-8"), max_size=20)
        | st.sampled_from(["", *GOOD_FOLDERS, *BAD_FOLDERS]),
        st.text(st.characters(codec="utf-8"), max_size=30)
        | st.sampled_from(GOOD_COMMENTS)
        | st.sampled_from(
            ["; x", "# x", "[x]", "a = b", 'say "x"', "include = /etc/passwd", "'", "$(id)", "`id`", "a;b"]
        ),
        st.booleans(),
    ),
    min_size=20,
    max_size=60,
)


def test_samba_reads_exactly_what_people_typed(samba: Ground):
    """Whatever the form takes is one section with its own folder and user, and nothing else."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TYPED)
    def typed(rows: list[tuple[str, str, str, bool]]) -> None:
        Share.objects.all().delete()
        for name, folder, comment, read_only in rows:
            values = {
                "server": samba.server.pk,
                "name": name,
                "folder": folder,
                "comment": comment,
                "adopt": "on",
            }
            form = ShareForm({**values, **({"read_only": "on"} if read_only else {})})
            if form.is_valid():
                with contextlib.suppress(ValidationError):
                    create_share(SYSTEM, form.filled())
        wanted = shares_on(samba.server)
        argv = ["sh", "-c", "cat >/run/typed; testparm -s /run/typed"]
        done = samba.host.exec(argv, stdin=shares_text(wanted).encode())
        assert done.returncode == 0
        assert b"nknown parameter" not in done.stderr
        read = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("\0",))
        said = done.stdout.decode()
        read.read_string(said[said.index("[global]") :].replace("\n\t", "\n"))
        assert sorted(read.sections()) == sorted([share.share for share in wanted] + ["global"])
        for share in wanted:
            section = read[share.share]
            assert served_path(section["path"]) == share.path
            assert shown_comment(section.get("comment", "")) == share.comment
            assert section["valid users"] == share.user
            assert (section.get("read only", "Yes") == "No") == (not share.read_only)
            assert "guest ok" not in section
            assert "wide links" not in section

    typed()
