"""What the forms let in, real rsnapshot, rsync, Samba, nginx and iptables read as it was typed."""

import posixpath
import re
from collections.abc import Iterable
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from backups.desired_plans import RSYNC, Plan, asked_of, files, patterns_of
from backups.folders import excluded, validate_destination, validate_excludes, validate_source
from backups.ways import Hop
from forwarding.nginx_sites import Certificate, Site, Upstream, confs
from forwarding.validators import normal_domain, validate_domain, validate_pem_path
from hosts.address import Address
from samba.desired_shares import Wanted, shares_text
from samba.names import is_folder, validate_comment
from servers.validators import normal_folder, validate_folder
from tests.samba.smb_conf_reader import served_path, shown_comment

pytestmark = pytest.mark.lab
AT = "/root/hostile"
SIGNS = "ab/ .,;:#'\"`$()[]{}*?!|&<>=+-~@^\\%\t\u00a0\u0085\u2028\u200bé😀"
lines = st.text(SIGNS, max_size=20) | st.text(st.characters(codec="utf-8"), max_size=20)
several = st.lists(lines, min_size=30, max_size=60)
few = settings(  # each is a batch, and none is tried again in smaller steps on a host
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],
)


def taken(texts: Iterable[str], *checks) -> list[str]:
    """Those that the fields take, each once."""
    found = dict.fromkeys(texts)
    for text in list(found):
        try:
            for check in checks:
                check(text)
        except ValidationError:
            del found[text]
    return list(found)


def put(host, name: str, text: str) -> str:
    path = f"{AT}/{name}"
    host.exec(
        ["sh", "-c", 'mkdir -p "$1"; cat >"$2"', "sh", AT, path], stdin=text.encode()
    ).check_returncode()
    return path


def sh(host, script: str, *words: str) -> str:
    done = host.exec(["sh", "-c", script, "sh", *words], timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-2000:]
    return done.stdout.decode()


@few
@example(["a#b", "'q' \"d\" `i` $(x)", "a, b;c", "- a", "x::y:z", "a  b", "a:", "#", ".sync/x", "-n"])
@given(several)
def test_rsnapshot_hands_on_the_folders_that_were_typed(fleet, texts):
    host = fleet["files1"]
    stub = put(host, "rsync", f"#!/bin/sh\nprintf '%s\\0' \"$@\" >>{AT}/told\nprintf '\\0' >>{AT}/told\n")
    sh(host, 'chmod 755 "$1"; rm -rf "$2"/told "$2"/to "$2"/*.conf', stub, AT)
    folders = taken(
        [normal_folder(f"{AT}/to/{text}") for text in texts], validate_source, validate_destination
    )
    hop = (Hop("web1", Address("10.0.0.102"), ()),)
    plans = [Plan(UUID(int=1), folder, folder, (), False, (("daily", 2),), hop) for folder in folders]
    for number, plan in enumerate(plans):
        text = files(plan)[0].content.decode()
        put(host, f"{number}.conf", text.replace(f"cmd_rsync\t{RSYNC}", f"cmd_rsync\t{stub}"))
    run = "rsnapshot -c $n.conf configtest >/dev/null && rsnapshot -c $n.conf sync >/dev/null || exit 1"
    told = sh(host, f'cd "$1"; for n in $(seq 0 "$2"); do {run}; done; cat told', AT, str(len(folders) - 1))
    calls = [call.split("\0")[-2:] for call in told.split("\0\0") if call]
    # rsnapshot leaves a second slash behind a colon
    assert [(source, posixpath.normpath(to)) for source, to in calls] == [
        (asked_of(plan), f"{plan.destination_folder}/.sync/data") for plan in plans
    ]


@few
@example(['"q"', "a  b", "50 %", "# no comment", "; nor this", "[global]", "include = /etc/passwd", "é 😀"])
@given(several)
def test_samba_reads_the_comments_and_folders_that_were_typed(fleet, texts):
    host = fleet["files1"]
    comments = taken(texts, validate_comment)
    bases = taken([normal_folder(f"/srv/{text}") for text in texts], validate_folder)
    bases = [base for base in bases if is_folder(base[1:])]
    shares = [
        Wanted(f"c{n}", "smb-x", "/srv", f"f{n}", text, False, True, False, "-")
        for n, text in enumerate(comments)
    ] + [Wanted(f"b{n}", "smb-x", base, "f", "", False, True, False, "-") for n, base in enumerate(bases)]
    path = put(host, "smb.conf", shares_text(shares))
    told = sh(host, 'testparm -s "$1" 2>/dev/null', path)
    read: dict[str, dict[str, str]] = {}
    for line in told.split("\n"):
        if section := re.fullmatch(r"\[(.*)\]", line):
            values = read.setdefault(section[1], {})
        elif " = " in line:
            name, _equals, value = line.strip("\t").partition(" = ")
            values[name] = value
    assert set(read) == {"global", *(share.share for share in shares)}
    for share in shares:
        assert shown_comment(read[share.share].get("comment", "")) == share.comment
        assert served_path(read[share.share]["path"]) == share.path
        assert read[share.share]["valid users"] == "smb-x"


@few
@example(["x", "y"])
@given(st.lists(st.from_regex(r"[a-zA-Z0-9_.*-]{1,12}", fullmatch=True), min_size=20, max_size=40))
def test_nginx_takes_the_names_and_paths_that_were_typed(fleet, texts):
    host = fleet["files1"]
    longest = ".".join(["y" * 63] * 3 + ["z" * 61])
    domains = taken([normal_domain(text) for text in (*texts, longest, f"*.{longest[2:]}")], validate_domain)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=x -keyout key -out pem 2>/dev/null"
    sh(host, f'mkdir -p "$1/c"; cd "$1/c"; [ -s pem ] || {make}; rm -rf ../sites; mkdir ../sites', AT)
    paths = taken([f"{AT}/c/{text}@+._-" for text in texts], validate_pem_path)
    sites = []
    for number, domain in enumerate(domains, 1):
        path = paths[number % len(paths)] if paths else f"{AT}/c/pem"
        sh(host, 'mkdir -p "${1%/*}"; cp "$2/c/pem" "$1.pem"; cp "$2/c/key" "$1.key"', path, AT)
        where = Certificate(f"{path}.pem", f"{path}.key")
        to = Upstream(longest if number == 1 else "127.0.0.1")
        sites.append(
            Site(number, domain, (to,) if number > 1 else (Upstream("127.0.0.1"),), certificate=where)
        )
    for name, text in confs(sites):
        put(host, f"sites/{name}.conf", text)
    maps = "map $http_upgrade $gestion_connection { default upgrade; }\nmap $http_host $gestion_port { default ''; }\n"
    put(host, "nginx.conf", f"events {{}}\nhttp {{\n{maps}include {AT}/sites/*.conf;\n}}\n")
    told = sh(host, 'nginx -t -c "$1" 2>&1; nginx -T -c "$1" 2>/dev/null', f"{AT}/nginx.conf")
    assert "conflicting" not in told
    assert "syntax is ok" in told
    for domain in domains:
        assert told.count(f'server_name "{domain}";') == 2


@few
@example(
    ["#a", ";b", "- c", "+ d", "!e", "[f]", "g\\h", "i'j", 'k"l', "$(m)", "n  o", "é😀", "p*q", "\u00a0r"]
)
@given(several)
def test_rsync_leaves_out_what_was_typed_and_nothing_else(fleet, texts):
    host = fleet["files1"]
    entries = [
        entry for text in texts for entry in excluded(text) if "/" not in entry[1:] and "*" not in entry
    ]
    entries = [
        entry for entry in taken(entries, validate_excludes) if len(entry.encode()) < 200 and "?" not in entry
    ]
    hop = (Hop("web1", Address("10.0.0.102"), ()),)
    patterns = patterns_of(",".join(entries), system=False)
    plan = Plan(UUID(int=1), "/", "/b/a", patterns, False, (("daily", 2),), hop)
    path = put(host, "exclude", files(plan)[1].content.decode())
    names = "\0".join(f"{entry[1:]}\0{entry[1:]}.kept" for entry in entries)
    make = 'rm -rf "$1/from" "$1/to"; mkdir "$1/from"; cd "$1/from"; xargs -0 -r touch --'
    host.exec(["sh", "-c", make, "sh", AT], stdin=names.encode()).check_returncode()
    copied = sh(
        host,
        'rsync -a --exclude-from="$2" "$1/from/" "$1/to/" && cd "$1/to" && find . -type f -printf "%f\\0"',
        AT,
        path,
    )
    there = set(copied.split("\0")) - {""}
    assert there == {f"{entry[1:]}.kept" for entry in entries} - {entry[1:] for entry in entries}
