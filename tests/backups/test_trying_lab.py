"""“Try it” on real hosts: it goes the very way of a run, and each real cause turns it red with its own reason."""

import pytest

from backups import trying
from backups.models import Backup, RunState
from backups.services.plans import try_way
from jobs.models import JobState
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, SYSTEM, Ground, ground, sh
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
ALL = ["tools", "files", "place", "login", "folder", "file"]
# Names, kinds, modes, owners, sizes and times of everything that a try must leave alone; of the folder itself, in which
# its own folder was for a moment, not the times.
STATE = (
    "cd {} 2>/dev/null && stat -c '%n %f %u' . && find . -mindepth 1 -printf '%p %y %m %U %s %T@\n' | sort"
)


@pytest.fixture
def place(fleet, lab_key, django_db_blocker) -> Ground:
    made = ground(fleet, lab_key)
    sh(
        made.here,
        f"cd {SOURCE_FOLDER} && mkdir -p sub && echo one >a && echo two >sub/b && setfacl -m u:daemon:r a",
    )
    return made


def tried(backup: Backup) -> tuple[list[str], str]:
    """The steps that went well, and why the next one did not."""
    try_way(SYSTEM, backup)
    assert [job.state for job in work_off()] == [JobState.DONE]
    backup.refresh_from_db()
    answers = backup.tried or []
    wrong = [answer["words"] for answer in answers if not answer["ok"]]
    assert len(wrong) <= 1
    return [answer["step"] for answer in answers if answer["ok"]], "".join(wrong)


def broken(backup: Backup, at: str, *words: str) -> None:
    """It breaks at this step, with these words."""
    went, why = tried(backup)
    assert went == ALL[: ALL.index(at)], why
    for word in words:
        assert word in why


def as_user(place: Ground, name: str = "bob", shell: str = "/bin/bash") -> None:
    """The backup server logs in to the source as this user, by root's key."""
    public = sh(place.there, "cat ~/.ssh/id_ed25519.pub")
    sh(
        place.here,
        f"useradd -m -s {shell} {name}; install -d -m 700 -o {name} ~{name}/.ssh;"
        f" cat >~{name}/.ssh/authorized_keys; chown {name}: ~{name}/.ssh/authorized_keys",
        public.encode(),
        check=True,
    )
    place.source.backup_ssh_connection = f"{name}@{place.here.address}"
    place.source.save()


def test_a_file_comes_over_and_nothing_is_changed_on_either_side(place):
    backup = place.backup()
    sh(place.here, f"cd {SOURCE_FOLDER} && head -c 3000000 /dev/urandom >large")
    before = sh(place.here, STATE.format(SOURCE_FOLDER)), sh(place.there, STATE.format("/backups"))
    went, why = tried(backup)
    assert (went, why) == (ALL, "")
    assert (backup.tried or [])[-1]["words"].split(" ")[0] in {"a", "sub/b"}
    assert (sh(place.here, STATE.format(SOURCE_FOLDER)), sh(place.there, STATE.format("/backups"))) == before
    assert sh(place.there, "ls /var/lib/gestion/backups/runs") == ""
    assert place.run(backup).state == RunState.DONE
    copies = sh(place.there, STATE.format(DESTINATION))
    assert tried(backup) == (ALL, "")
    assert sh(place.there, STATE.format(DESTINATION)) == copies


OLDER = r"""
cd /usr/bin && mv rsync away && printf '#!/bin/sh\nexec /usr/bin/away "$@" --protocol=29\n' >rsync && chmod 755 rsync
"""
CAUSES = {
    "its login prints a line": (
        "sed -i '1i echo Welcome to files1' ~/.bashrc", "file", ["prints something", "Welcome to files1", ".bashrc"],
    ),
    "its login prints what ends no line": (
        "sed -i '1i printf files1' ~/.bashrc", "file", ["prints something", "“files1”"],
    ),
    "its login prints a blank line": (
        "sed -i '1i echo' ~/.bashrc", "file", ["prints something", "blank line", ".bashrc"],
    ),
    "its login prints without an end": (
        "sed -i '1i yes Welcome' ~/.bashrc", "file", ["neither a shell nor rsync", "“Welcome”", ".bashrc"],
    ),
    "its login asks something": (
        "sed -i '1i echo Sure?; read sure' ~/.bashrc", "folder", ["reads what is meant for rsync", "Sure?", ".bashrc"],
    ),
    "its login ends with a code of its own": (
        "sed -i '1i exit 42' ~/.bashrc", "file", ["neither a shell nor rsync", ".bashrc"],
    ),
    "it has no rsync": ("mv $(command -v rsync) /root/rsync.away", "file", ["has no rsync", "Install it"]),
    "its rsync does not start": (
        "ln -sf /nowhere/libpopt.so.0 $(ldconfig -p | sed -n 's/.*libpopt.so.0 .*=> //p')", "file",
        ["rsync at the source ended before it answered", "libpopt.so.0"],
    ),
    "its rsync speaks an older protocol": (OLDER, "file", ["too old", "protocol 30 or higher"]),
    "the key is not accepted": ("mv ~/.ssh/authorized_keys ~/.ssh/away", "login", ["does not know the SSH key"]),
    "it lets root in by no key": (
        "sed -i '1i PermitRootLogin no' /etc/ssh/sshd_config; systemctl restart ssh", "login",
        ["lets this user in by none", "PermitRootLogin"],
    ),
    "it lets others in alone": (
        "echo AllowUsers bob >>/etc/ssh/sshd_config; systemctl restart ssh", "login", ["AllowUsers"],
    ),
    "the folder is missing": (f"rm -rf {SOURCE_FOLDER}", "folder", ["is not there"]),
    "the folder is a file": (f"rm -rf {SOURCE_FOLDER}; echo x >{SOURCE_FOLDER}", "folder", ["is a file"]),
    "the folder is a pipe": (f"rm -rf {SOURCE_FOLDER}; mkfifo {SOURCE_FOLDER}", "folder", ["no folder, but a pipe"]),
    "the folder is empty": (f"rm -rf {SOURCE_FOLDER}; mkdir {SOURCE_FOLDER}", "folder", ["is empty"]),
    "a command is forced": (
        "sed -i 's/^/command=\"echo nothing here\" /' ~/.ssh/authorized_keys", "file",
        ["nothing here", "forced command"],
    ),
    "its disk is not mounted": (
        f"echo /dev/sdz1 {SOURCE_FOLDER} ext4 defaults 0 0 >>/etc/fstab", "folder", ["is not mounted at the source"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_at_the_source_is_told_as_it_is(place, cause):
    backup = place.backup()
    script, at, words = CAUSES[cause]
    sh(place.here, script, check=True)
    broken(backup, at, *words)
    run = place.run(backup)
    assert run.state in {RunState.FAILED, RunState.HELD}  # and the run says the same
    for word in words:
        assert word in run.error


def test_what_this_server_says_itself_is_not_called_the_logins_words(place, monkeypatch):
    monkeypatch.setattr(trying, "STALL_SECONDS", 6)
    backup = place.backup()
    sh(place.there, "sed -i s/LOOK_FOR=60/LOOK_FOR=1/ /usr/local/lib/gestion/backup-try", check=True)
    sh(place.here, "sed -i '1i exec bash --norc' ~/.bashrc", check=True)  # it reads what is meant for rsync
    broken(backup, "file", "it said “bash: line 1:")


# As bob, who is no root: a shell for his login, what is done at the source, and where it breaks.
USERS = {
    "nologin": ("/usr/sbin/nologin", "true", "file", ["neither a shell nor rsync", "not available"]),
    "a shell that ends at once": ("/bin/false", "true", "file", ["neither a shell nor rsync", "login shell"]),
    "internal-sftp": (
        "/bin/bash",
        "printf 'Match User bob\\nForceCommand internal-sftp\\n' >>/etc/ssh/sshd_config; systemctl restart ssh",
        "file",
        ["neither a shell nor rsync", "sshd_config"],
    ),
    "an account that has expired": ("/bin/bash", "usermod -e 1 bob", "login", ["has expired", "Your account"]),
    "a password that has to be changed": ("/bin/bash", "chage -d 0 bob", "file", ["has expired", "change required"]),
    "a second factor": (
        "/bin/bash",
        ("printf 'Match User bob\\n AuthenticationMethods publickey,password\\n' >>/etc/ssh/sshd_config"
        "; systemctl restart ssh"),
        "login",
        ["by no SSH key alone", "(password)"],
    ),
    "no keys at all": (
        "/bin/bash",
        "printf 'Match User bob\\n PubkeyAuthentication no\\n' >>/etc/ssh/sshd_config; systemctl restart ssh",
        "login",
        ["by no SSH key alone"],
    ),
    "a folder that he may not enter": ("/bin/bash", f"chmod 700 {SOURCE_FOLDER}", "folder", ["may not be"]),
    "a folder in one that he may not enter": ("/bin/bash", "chmod 700 /srv", "folder", ["may not be"]),
    "a folder that he may enter and not list": (
        "/bin/bash", f"chmod 711 {SOURCE_FOLDER}", "folder", ["may not be"],
    ),
    "a file that he may not read": (
        "/bin/bash", f"cd {SOURCE_FOLDER} && rm -r sub && setfacl -b a && chmod 600 a", "file",
        ["1 may not be read", '/a"'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", USERS)
def test_a_cause_for_a_user_who_is_not_root_is_told_as_it_is(place, cause):
    shell, script, at, words = USERS[cause]
    as_user(place, shell=shell)
    backup = place.backup()
    sh(place.here, script, check=True)
    broken(backup, at, *words)
    run = place.run(backup)
    assert run.state != RunState.DONE
    assert run.again_at is None
    for word in words:
        assert word in run.error


def small_disk(place: Ground, options: str = "size=20m") -> None:
    """The copies lie on a disk of their own."""
    sh(place.there, f"mkdir -p {DESTINATION} && mount -t tmpfs -o {options} none {DESTINATION}", check=True)


@pytest.fixture
def disk(place: Ground):
    yield place
    sh(place.there, f"umount -R {DESTINATION}")


def test_a_full_disk_of_the_copies_is_told(disk):
    small_disk(disk)
    backup = disk.backup()
    assert tried(backup) == (ALL, "")
    sh(
        disk.there,
        f"mkdir {DESTINATION}/lost+found; head -c 18M /dev/zero >{DESTINATION}/lost+found/big",
    )
    broken(backup, "place", "bytes are free")


def test_a_disk_of_the_copies_that_is_read_only_or_cannot_hold_acls_is_told(disk):
    small_disk(disk, "size=20m,ro")
    backup = disk.backup()
    broken(backup, "place", "Nothing can be written", "Read-only")


def test_a_disk_of_the_copies_that_is_not_mounted_is_told_and_nothing_is_written(place):
    backup = place.backup()
    sh(place.there, f"echo /dev/sdz1 {DESTINATION} ext4 defaults 0 0 >>/etc/fstab")
    broken(backup, "place", f"{DESTINATION} is not mounted")
    assert sh(place.there, "ls -A /backups 2>/dev/null") == ""


@pytest.mark.parametrize("way", ["echo x >/backups", "ln -s /nowhere /backups"])
def test_what_is_no_folder_on_the_way_to_the_copies_is_told(place, way):
    backup = place.backup()
    sh(place.there, f"rm -rf /backups; {way}", check=True)
    broken(backup, "place", "/backups is not a folder")
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.HELD, "destination_unreadable")


def test_what_the_backup_servers_own_login_prints_is_no_missing_program(place):
    backup = place.backup()
    sh(place.there, "sed -i '1i echo Welcome to backup1' ~/.bashrc", check=True)
    assert tried(backup) == (ALL, "")


def test_copies_of_another_backup_are_told(place):
    backup = place.backup()
    sh(place.there, f"mkdir -p {DESTINATION} && echo somebody >{DESTINATION}/.gestion-backup")
    broken(backup, "place", "belongs to another backup")


def test_a_host_key_that_has_changed_is_told(place):
    backup = place.backup()
    sh(place.here, "rm /etc/ssh/ssh_host_* && ssh-keygen -qA && systemctl restart ssh", check=True)
    broken(backup, "login", "another host key")


def test_what_is_left_out_leaves_nothing(place):
    backup = place.backup(excludes="/a, /sub")
    broken(backup, "file", "what is left out leaves nothing")


def test_a_file_that_is_left_out_is_not_tried_and_of_large_ones_the_beginning_is(place):
    sh(place.here, f"cd {SOURCE_FOLDER} && head -c 3000000 /dev/urandom >sub/large && rm sub/b")
    backup = place.backup(excludes="/a")
    assert tried(backup) == (ALL, "")
    assert (backup.tried or [])[-1]["words"].startswith("The beginning of sub/large came over")


ONLY_RSYNC = r"""
cat >/root/only <<'END'
#!/bin/sh
case $SSH_ORIGINAL_COMMAND in "rsync --server"*) exec $SSH_ORIGINAL_COMMAND ;; esac
exit 1
END
chmod 755 /root/only; sed -i 's/^/command="\/root\/only" /' ~/.ssh/authorized_keys
"""


def test_a_source_that_lets_in_rsync_alone_is_no_fault(place):
    sh(place.here, ONLY_RSYNC, check=True)
    backup = place.backup()
    went, why = tried(backup)
    assert why == ""
    assert went == ALL
    assert place.run(backup).state == RunState.DONE


def test_one_that_refuses_an_option_of_ours_is_told_in_its_own_words(place):
    sh(
        place.here,
        "sed -i 's|^|command=\"rrsync -ro /\" |' ~/.ssh/authorized_keys && command -v rrsync",
        check=True,
    )
    broken(place.backup(), "file", "rrsync error: option -s has been disabled")
