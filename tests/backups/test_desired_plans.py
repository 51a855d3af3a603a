"""What a backup server gets: golden files, and no way for what people type to change their structure."""

import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from backups.configs import NotWritable
from backups.desired_plans import Plan, desired, files, patterns_of, plan_of, why_left_out
from backups.folders import validate_excludes
from backups.ways import Hop, NoWay
from hosts import engine
from hosts.address import Address
from hosts.memory import MemoryHost
from servers.models import Server

GOLDEN = Path(__file__).parent.parent / "golden" / "rsnapshot"
ONE, TWO = UUID(int=1), UUID(int=2)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="
WAY = (Hop("web1", Address("10.0.0.102"), (KEY,)),)
PLANS = {
    "whole-server": Plan(
        ONE,
        "/",
        "/backups/web1",
        patterns_of("/the/game, /home/*/.cache, /odd [name]", system=True),
        False,
        (("hourly", 6), ("daily", 7), ("weekly", 4), ("monthly", 3)),
        (Hop("web1.example.org", Address("web1.example.org", port=222), (KEY,)),),
    ),
    "folder-through-a-host": Plan(
        TWO,
        "/srv/my files",
        "/backups/files of mine",
        (),
        True,
        (("daily", 30),),
        (
            Hop("pve1", Address("2001:db8::1", "admin"), (KEY,)),
            Hop("web2", Address("10.0.0.102"), (KEY, f"ssh-rsa {KEY[12:]}")),
        ),
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_the_files_are_what_their_golden_files_say(name):
    for file in files(PLANS[name]):
        golden = GOLDEN / name / file.path.rpartition(".")[2]
        assert file.content.decode() == golden.read_text(), golden


def parsed(text: str) -> list[list[str]]:
    """The lines as rsnapshot reads them (parse_config_file): comments and blank lines left out."""
    assert "\n " not in text  # nor is there a line that continues the one above
    assert "\n\t" not in text
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return [re.split(r"\t+", line, maxsplit=3) for line in lines]


def read_at_the_source(name: str) -> str:
    """The one name that rsync there takes this for: in a pattern a backslash makes the next one plain."""
    return re.sub(r"\\(.)", r"\1", name) if set(name) & set("*?[") else name


typed = st.text(max_size=40)
folders = st.builds(lambda text: f"/{text}", typed)


@given(folders, folders, st.lists(typed, max_size=4), st.booleans())
def test_whatever_is_typed_the_configuration_has_the_same_lines(source, destination, entries, one_fs):
    plan = Plan(
        ONE, source, destination, patterns_of(",".join(entries), system=True), one_fs, (("daily", 3),), WAY
    )
    try:
        made = {file.path.rpartition(".")[2]: file.content.decode() for file in files(plan)}
    except NotWritable:
        return  # what the validators refuse as well
    lines = parsed(made["conf"])
    ours = parsed(files(PLANS["folder-through-a-host"])[0].content.decode())
    assert [line[0] for line in lines] == [line[0] for line in ours]
    values = {line[0]: line[1:] for line in lines}
    assert values["snapshot_root"] == [f"{destination}/"]
    asked = values["backup"][0]
    assert "/".join(map(read_at_the_source, asked.split("/"))) == f"source:{source.rstrip('/')}/"
    patterns = made["exclude"].split("\n")[1:-1]
    assert len(patterns) == len(plan.patterns)
    assert all(pattern.startswith("/") for pattern in patterns)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_host_name_that_could_be_read_as_more_is_never_written(host, key):
    plan = Plan(ONE, "/", "/b/a", (), False, (("daily", 3),), (Hop("web1", Address(host), (key,)),))
    try:
        made = {file.path.rpartition(".")[2]: file.content.decode() for file in files(plan)}
    except NotWritable:
        return
    assert made["ssh"].count("\n") == files(PLANS["whole-server"])[2].content.count(b"\n")
    assert f"  HostName {host}\n" in made["ssh"]
    assert made["known_hosts"].split("\n")[1:] == [f"web1 {key}", ""]


@pytest.mark.parametrize("entry", ["x" * 2000, "/é" * 700, "*/" * 1500])
def test_an_entry_that_rsync_would_drop_without_a_word_is_refused(entry):
    with pytest.raises(ValidationError, match="longer than any path"):
        validate_excludes(f"/a, {entry}, /b")
    validate_excludes("/a/" + "x" * 1900)


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
@pytest.mark.parametrize(
    ("typed", "names", "left"),
    [
        ("/the/game", ["the/game/a", "the/other", "game/a"], ["game/a", "the/other"]),
        ("game", ["game/a", "the/game/a"], ["the/game/a"]),
        ("a[bc]", ["a[bc]/x", "ab/x", "ac/x"], ["ab/x", "ac/x"]),
        ("a[b]*", ["a[b]1", "ab1"], ["ab1"]),
        ("/home/*/.cache", ["home/u/.cache/x", "home/u/x"], ["home/u/x"]),
        ("back\\slash, q\\[?]", ["back\\slash/x", "q\\[1]", "q[1]"], ["q[1]"]),
        ("#comment, ;other, - minus", ["#comment", ";other", "- minus", "x"], ["x"]),
    ],
)
def test_rsync_leaves_out_what_was_meant(tmp_path, typed, names, left):
    for name in names:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    plan = Plan(ONE, "/", "/b/a", patterns_of(typed, system=False), False, (("daily", 1),), WAY)
    (tmp_path / "exclude").write_bytes(files(plan)[1].content)
    copy = tmp_path / "copy"
    argv = ["rsync", "-a", f"--exclude-from={tmp_path}/exclude", f"{tmp_path}/source/", f"{copy}/"]
    subprocess.run(argv, check=True)
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()) == left


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH is not installed")
@pytest.mark.parametrize(("name", "told"), [("whole-server", "222"), ("folder-through-a-host", "via1")])
def test_openssh_reads_its_configuration_as_meant(tmp_path, name, told):
    config = tmp_path / "config"
    config.write_bytes(files(PLANS[name])[2].content)
    said = subprocess.run(
        ["ssh", "-F", config, "-G", "source"], capture_output=True, text=True, check=True
    ).stdout
    assert "stricthostkeychecking true" in said
    assert f"userknownhostsfile /etc/gestion/backups/{PLANS[name].uuid}.known_hosts" in said
    assert f" {told}\n" in said


@pytest.mark.django_db
def test_rows_become_a_plan(rows):
    backup = rows.backup(source_folder="/srv", excludes="/b,/a", keep_hourly=0)
    plan = plan_of(backup)
    assert plan.patterns == ("/a", "/b")  # a folder's own dev and run are files like others
    assert plan.keeps == (("daily", 7), ("weekly", 4), ("monthly", 3))
    assert plan.way[-1].address.text == "root@198.51.100.20"


@pytest.mark.django_db
def test_a_whole_server_leaves_out_what_is_there_only_while_it_runs(rows):
    whole = rows.backup(source_folder="/", excludes="/b")
    assert plan_of(whole).patterns == ("/b", "/dev/*", "/proc/*", "/run/*", "/sys/*")
    whole.exclude_proc_sys = False
    assert plan_of(whole).patterns == ("/b",)


@pytest.mark.django_db
def test_the_way_follows_the_connection_from_backup_then_the_inventory(rows):
    backup = rows.backup(source=rows.web1)
    assert [hop.address.text for hop in plan_of(backup).way] == ["root@198.51.100.10", "root@10.0.0.102"]
    Server.objects.filter(pk=rows.web1.pk).update(backup_ssh_connection="-p 2201 root@203.0.113.9")
    backup.refresh_from_db()
    assert [hop.address.text for hop in plan_of(backup).way] == ["-p 2201 root@203.0.113.9"]
    Server.objects.filter(pk=rows.web1.pk).update(backup_ssh_connection="")
    Server.objects.filter(pk=rows.backup1.pk).update(is_vm=True, vm_host=rows.pve1, internal_ip="10.0.0.5")
    backup.refresh_from_db()
    assert [hop.address.text for hop in plan_of(backup).way] == ["root@10.0.0.102"]


@pytest.mark.django_db
def test_a_source_without_a_way_is_left_out_and_nothing_is_left_when_no_backup_is(rows):
    backup = rows.backup(source=rows.web1)
    Server.objects.filter(pk=rows.pve1.pk).update(ssh_connection="")
    backup.refresh_from_db()
    with pytest.raises(NoWay):
        plan_of(backup)
    state = desired(rows.backup1)
    assert state
    assert state.left_out == (
        "The backup of web1:/ does not run: Nothing says how backup1 reaches pve1: correct its SSH connection.",
    )
    assert all("/etc/gestion/backups" not in item.path for item in state.items)
    backup.delete()
    assert desired(rows.backup1) is None


HOSTILE_ROWS = [
    {"source_folder": "/srv\tx"},
    {"source_folder": "/srv\nretain\tx\t1"},
    {"destination_folder": "/backups/a\tb"},
    {"excludes": "/a\x0bb"},
]


@pytest.mark.django_db
@pytest.mark.parametrize("fields", HOSTILE_ROWS)
def test_a_backup_that_cannot_be_written_is_told_and_the_others_are_written(rows, fields):
    good = rows.backup(source=rows.web1)
    before = desired(rows.backup1)
    assert before
    alone = {item.path for item in before.items}
    bad = rows.backup(**fields)
    state = desired(rows.backup1)
    assert state
    assert {item.path for item in state.items} == alone
    assert f"/etc/gestion/backups/{good.uuid}.conf" in alone
    (told,) = state.left_out
    assert str(bad) in told
    assert why_left_out(bad) == told
    assert why_left_out(good) == ""


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["ssh_connection", "backup_ssh_connection"])
def test_a_source_whose_stored_connection_cannot_be_used_keeps_no_other_backup_from_its_server(rows, field):
    rows.backup(source=rows.web1)
    bad = rows.backup()
    Server.objects.filter(pk=rows.mail1.pk).update(**{field: "root@fe80::1%eth0"})
    state = desired(rows.backup1)
    assert state
    assert len(state.checks) == 2
    assert len(state.left_out) == 1
    bad.refresh_from_db()
    assert "mail1" in why_left_out(bad)


@pytest.mark.django_db
def test_the_page_of_a_backup_that_is_left_out_says_so(rows, client, admin):
    bad = rows.backup(source_folder="/srv\tx")
    client.force_login(admin)
    page = client.get(bad.get_absolute_url())
    assert b"The backup server has no configuration of this backup." in page.content
    assert (
        "cannot stand in rsnapshot.conf"
        in client.get(bad.get_absolute_url(), headers={"accept": "application/json"}).json()["left_out"]
    )


@pytest.mark.django_db
def test_the_engine_has_rsnapshot_and_ssh_read_the_files_before_they_count(rows):
    host = MemoryHost()
    rows.backup()
    state = desired(rows.backup1)
    assert state
    engine.apply(host, engine.plan(host, state))
    tested = [argv for argv in host.ran if argv[-1] in {"configtest", "source"}]
    assert [argv[0] for argv in tested] == ["rsnapshot", "ssh"]
    assert engine.plan(host, state).empty
