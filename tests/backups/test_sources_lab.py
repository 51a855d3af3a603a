"""A source that lets the backup server in as a user without rights: read as root by sudo, and nothing beyond that."""

import pytest

from backups import desired_sources
from backups.models import Backup, RunState, TaskState
from backups.services import restores as services
from backups.services.plans import change_backup, create_backup, delete_backup
from servers.models import Rollout, RolloutState, Server
from tests.backups.lab_rows import DESTINATION, SOURCE_FOLDER, SYSTEM, ground, sh, state
from tests.backups.test_restores_lab import look, restored
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
READER = "/usr/local/lib/gestion/backup-source"
TREE = """
cd /srv/tree && mkdir -m 700 closed && echo secret >closed/root-only && chmod 600 closed/root-only
echo open >open && ln -s /etc/shadow shadow && ln -s /etc etc && setfattr -n user.note -v kept open
chown 12345:54321 open && echo x >"[odd] 'name' \\$(id)"
"""


@pytest.fixture
def place(fleet, lab_key, django_db_blocker):
    """A source where the backup server comes as `backup`, whom root's key there lets in."""
    found = ground(fleet, lab_key)
    public = sh(found.there, "cat ~/.ssh/id_ed25519.pub")
    script = """set -e; useradd -m -s /bin/bash keeper; install -d -m 700 -o keeper ~keeper/.ssh
        cat >~keeper/.ssh/authorized_keys; chown -R keeper ~keeper/.ssh"""
    sh(found.here, script, public.encode(), check=True)
    connection = found.source.ssh_connection.replace("root@", "keeper@")
    Server.objects.filter(pk=found.source.pk).update(backup_ssh_connection=connection)
    found.source.refresh_from_db()
    sh(found.here, TREE, check=True)
    return found


def planned(place, **fields) -> Backup:
    """A backup that is read by sudo, rolled out on both sides."""
    fields = {"source_folder": SOURCE_FOLDER, "destination_folder": DESTINATION, **fields}
    made = Backup(source=place.source, destination=place.server, as_root=True, **fields)
    create_backup(SYSTEM, made)
    work_off()
    return made


def rollout(place) -> Rollout:
    return Rollout.objects.get(server=place.source, kind=desired_sources.KIND)


def as_keeper(place, command: str) -> tuple[int, str]:
    done = place.here.exec(["runuser", "-u", "keeper", "--", "sh", "-c", command])
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def test_what_only_root_may_read_is_copied_verified_and_the_right_goes_with_the_backup(place):
    backup = planned(place)
    assert rollout(place).state == RolloutState.IN_SYNC, rollout(place).why
    assert sh(place.here, "stat -c '%a %U' /etc/sudoers.d/zz-gestion-backup") == "440 root"
    run = place.run(backup)
    assert (run.state, run.error) == (RunState.DONE, ""), run.output
    copy = "/backups/tree/hourly.0/data"
    assert sh(place.there, f"cat {copy}/closed/root-only") == "secret"
    assert (
        sh(place.there, f"readlink {copy}/shadow; stat -c '%u %g' {copy}/open") == "/etc/shadow\n12345 54321"
    )
    assert sh(place.there, f"getfattr --only-values -n user.note {copy}/open") == "kept"
    state(backup)
    backup.refresh_from_db()
    verification = services.ask_verification(SYSTEM, backup)
    work_off()
    verification.refresh_from_db()
    assert (verification.state, verification.error) == (TaskState.DONE, "")
    assert verification.figures.get("source") != "no"
    delete_backup(SYSTEM, backup)
    work_off()
    assert sh(place.here, f"ls /etc/sudoers.d/zz-gestion-backup* {READER} 2>/dev/null; true") == ""
    assert as_keeper(place, "sudo -n id")[0] != 0


def test_the_right_reads_that_folder_and_nothing_else_writes_nothing_and_runs_nothing(place):
    backup = planned(place)
    sh(place.here, f"chown keeper {SOURCE_FOLDER}; mkdir -m 700 /srv/other; echo other >/srv/other/x")
    uuid = backup.uuid
    good = f"-logDtpre.iLsfxCIvu . /{uuid}/"
    refused = [
        "id", "-l", "/bin/sh", "--server . /etc/", f"--server -logDtpre.iLsfxCIvu . /{uuid}/",
        "--server --sender -logDtpre.iLsfxCIvu . /etc/", "--server --sender -logDtpre.iLsfxCIvu . /srv/other/",
        f"--server --sender -logDtpre.iLsfxCIvu . /{uuid}/../../etc/",
        f"--server --sender -logDtpre.iLsfxCIvu . /{uuid}/ /etc/",
        f"--server --sender -slogDtpre.iLsfxCIvu . /{uuid}/", f"--server --sender -Llogre.iLs . /{uuid}/",
        f"--server --sender --remove-source-files {good}", f"--server --sender --log-file=/etc/cron.d/x {good}",
        f"--server --sender --files-from=/etc/shadow {good}", f"--server --sender --daemon {good}",
        f"--server --sender -e sh {good}", f"--server --sender --copy-devices {good}",
        f"--server --sender --timeout=1x {good}",
        f"--server --sender -ve.i --rsync-path=x {good}", f"look {'0' * 8}-0000-0000-0000-{'0' * 12}",
        "look ..", "inside x",
    ]  # fmt: skip
    for words in refused:
        code, said = as_keeper(place, f"sudo -n {READER} {words} </dev/null")
        assert (code, "gestion-source: " in said) == (97, True), (words, said)
    for command in (
        "id",
        "rsync --version",
        "cat /etc/shadow",
        f"sh {READER} ready",
        f"-u daemon {READER} ready",
    ):
        assert as_keeper(place, f"sudo -n {command}")[0] == 1, command
    # A client of his own, with the right itself: what it names is not there, whatever links lead to it.
    sh(place.here, f"cd {SOURCE_FOLDER}; ln -s / top; ln -s /srv/other other")
    sh(
        place.here,
        "printf '#!/bin/sh\\nshift; eval \"exec $*\"\\n' >~keeper/here; chmod 755 ~keeper/here",
        check=True,
    )
    pull = f"rsync -a --no-protect-args --rsync-path='sudo -n {READER}' -e ./here"
    code, said = as_keeper(place, f"cd ~ && {pull} here:/{uuid}/ got/ && cat got/closed/root-only")
    assert (code, said) == (0, "secret\n")
    for name in ("shadow", "etc/shadow", "other/x", "top/etc/shadow", "../../etc/shadow"):
        code, said = as_keeper(
            place, f"cd ~ && echo {name} >list && {pull} -L --files-from=list here:/{uuid}/ taken/"
        )
        code, said = as_keeper(
            place, f"cd ~ && {pull} --files-from=list here:/{uuid}/ taken/; find taken -type f"
        )
        assert "taken/" not in said, (name, said)
    assert as_keeper(place, f"cd ~ && echo evil >evil && {pull} evil here:/{uuid}/")[0] != 0
    # Nor does the folder itself become another one.
    sh(place.here, f"mv {SOURCE_FOLDER} /srv/kept; ln -s /etc {SOURCE_FOLDER}")
    code, said = as_keeper(place, f"cd ~ && {pull} here:/{uuid}/ etc/; ls etc")
    assert "is a symbolic link" in said
    assert "passwd" not in said
    assert sh(place.here, "ls /srv/kept/evil 2>/dev/null; true") == ""


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("mv /usr/bin/sudo /usr/bin/sudo.away", "sudo is not installed here."),
        ("rm /etc/sudoers.d/zz-gestion-backup", "a password is required"),
        ("echo 'keeper ALL=(ALL) ALL' >/etc/sudoers.d/zzz", "a password is required"),
        (f"rm {READER}", "backup-source: No such file or directory"),
        ("mv /usr/bin/rsync /usr/bin/rsync.away", "rsync is not installed here."),
        ("echo >/etc/gestion/backup-source", "keeper may not have this read here."),
    ],
)  # fmt: skip
def test_where_it_does_not_work_the_run_says_why_and_keeps_every_copy(place, harm, words):
    backup = planned(place)
    assert place.run(backup).state == RunState.DONE
    sh(place.here, harm, check=True)
    run = place.run(backup)
    assert (run.state, run.code) == (RunState.FAILED, "sudo"), (run.error, run.output)
    assert words in run.error
    assert sh(place.there, "ls /backups/tree | grep hourly") == "hourly.0"


def test_what_sudo_asks_of_all_keeps_nobody_out_and_a_host_without_it_is_told_before_any_change(place):
    sh(
        place.here,
        "cd /etc/sudoers.d; echo 'Defaults requiretty, noexec' >00-all; chmod 440 00-all",
        check=True,
    )
    backup = planned(place)
    assert rollout(place).state == RolloutState.IN_SYNC, rollout(place).why
    assert place.run(backup).state == RunState.DONE
    delete_backup(SYSTEM, backup)
    work_off()
    sh(place.here, "mv /usr/sbin/visudo /usr/sbin/visudo.away", check=True)
    backup = planned(place, destination_folder="/backups/again")
    assert rollout(place).state == RolloutState.FAILED
    assert "sudo is not installed here" in rollout(place).why
    assert sh(place.here, f"ls {READER} 2>/dev/null; true") == ""


def test_once_the_way_leads_to_root_the_right_is_taken_away(place):
    backup = planned(place)
    assert sh(place.here, "ls /etc/sudoers.d/zz-gestion-backup")
    changed = Backup.objects.get(pk=backup.pk)
    changed.as_root = False
    change_backup(SYSTEM, changed, version=changed.version)
    work_off()
    assert sh(place.here, "ls /etc/sudoers.d/zz-gestion-backup 2>/dev/null; true") == ""


def test_a_restore_to_where_nobody_is_root_is_refused_in_a_sentence(place):
    backup = planned(place)
    assert place.run(backup).state == RunState.DONE
    state(backup)
    backup.refresh_from_db()
    at = backup.state.copies[0][1]
    with pytest.raises(services.RestoreRefused, match="as keeper, and a restore needs root"):
        look(backup, at)
    assert restored(backup, at, target=place.server, folder="/restored").state == TaskState.DONE
    assert sh(place.there, "cat /restored/closed/root-only") == "secret"
