"""What a test changes on a host is undone: every path, process, rule, mount and unit is as it was."""

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from lab.pve import Slow
from lab.pve.real.api import LabApi
from lab.pve.real.state import load_world
from lab.reset import Ground
from lab.reset.rooted import in_root
from tests.lab_fixtures import LabKey

pytestmark = pytest.mark.lab
Picture = dict[bytes, tuple[object, ...]]
SKIPPED = {b"./proc", b"./sys", b"./dev", b"./run", b"./var/lib/systemd", b"./var/log/wtmp"}
UNDONE = 3.0
"""Seconds of processor time that a host's being as it was may cost; a fifth of it is usual."""


def picture(host: LabHost) -> Picture:
    """Every path of a host as itself sees it: kind, mode, owner, content, attributes, where a link leads."""

    def look() -> Picture:
        found: Picture = {}
        for folder, folders, files in os.walk(b"."):
            folders[:] = [name for name in folders if b"%s/%s" % (folder, name) not in SKIPPED]
            for name in (*folders, *files):
                path = b"%s/%s" % (folder, name)
                if path not in SKIPPED:
                    found[path] = marks(path)
        return found

    return in_root(host.container.pid() or 0, look)


def marks(path: bytes) -> tuple[object, ...]:
    """What belongs to a path, but for a folder's times and size, which follow from what is in it."""
    info = os.lstat(path)
    common = (oct(info.st_mode), info.st_uid, info.st_gid, info.st_rdev)
    if stat.S_ISLNK(info.st_mode):
        return (*common, os.readlink(path))  # noqa: PTH115
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path)}
    if stat.S_ISREG(info.st_mode):
        # Nobody writes to the base; what is as old and as long as there is the same.
        read = info.st_mtime > time.time() - 3600 * 24
        content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest() if read else ""
        return (*common, info.st_size, info.st_mtime_ns, content, attributes)
    return (*common, attributes)


def processor_seconds() -> float:
    """What this process has used so far, with the programs it has waited for; by the clock a busy machine is slow."""
    return sum(os.times()[:4])


def sh(host: LabHost, script: str) -> str:
    done = host.exec(["sh", "-c", script])
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


FILES = {
    "new": r"echo x >/etc/new; mkdir -p /srv/a/b; echo y >/srv/a/b/c; ln -s /etc/shadow /srv/link; mkfifo /srv/f",
    "changed": "echo 198.51.100.99 evil >>/etc/hosts; : >/root/.ssh/authorized_keys; sed -i s/root/toor/ /etc/passwd",
    "gone": "rm -r /etc/ssh/sshd_config.d /usr/share/nginx /etc/issue /var/www /root/.bashrc",
    "of another kind": "rm /etc/issue; mkdir /etc/issue; rm -r /srv; ln -s /etc /srv; rm -r /var/www; echo x >/var/www",
    "moved": "mv /etc/cron.d /etc/cron.e; mkdir /etc/cron.d; mv /etc/cron.e/e2scrub_all /etc/cron.d/other",
    "mode and owner": "chmod 4777 /etc/fstab; chown 1:33 /etc/hosts; chmod 700 /usr/bin/env; chown -h 7:7 /etc/mtab",
    "attributes": "setfattr -n user.x -v 1 /etc/hosts; setfacl -m u:33:rw /etc/fstab /root; setfacl -d -m u:33:r /srv",
    "unchangeable": "mkdir /srv/a; >/srv/a/b; >/etc/new; chattr +i /etc/new /etc/fstab /opt; chattr +a /srv/a /srv/a/b",
    "odd names": r"""cd /srv; mkdir '*' '\'; touch 'a b' -- -rf '"' "'" "$(printf 'n\nl')" "$(printf '\377')" 'é' """,
    "hard and deep": "mkdir -p /srv/$(yes d | head -60 | tr '\\n' /); ln /etc/hosts /etc/hosts2",
    "times": "touch -d 2001-01-01 /etc/hosts /etc/fstab /etc",
    "a log": "echo x >>/var/log/faillog2; echo y >/var/log/dpkg.log",
    "users": "useradd -m nina; echo nina:geheim | chpasswd; groupadd -g 4711 them; usermod -aG them www-data",
}


@pytest.mark.parametrize("script", FILES.values(), ids=FILES.keys())
def test_files_are_as_they_were(fleet: Fleet, lab_ground: Ground, script: str) -> None:
    host = fleet["backup1"]
    before, init = picture(host), host.container.pid()
    sh(host, script)
    assert picture(host) != before
    begin = processor_seconds()
    assert set(lab_ground.set_back()) == {"backup1"}
    used = processor_seconds() - begin
    assert picture(host) == before
    assert host.container.pid() == init, "for files alone no host is started anew"
    assert used < UNDONE
    assert lab_ground.set_back() == {}


def test_no_planted_link_leads_a_write_to_this_machine(
    fleet: Fleet, lab_ground: Ground, tmp_path: Path
) -> None:
    host = fleet["backup1"]
    (tmp_path / "cron.d").mkdir()
    sh(
        host,
        f"cp -a /etc/cron.d /srv/kept; rm -r /etc/cron.d; mkdir -p {tmp_path}; ln -s {tmp_path}/cron.d /etc/cron.d",
    )
    before = picture(host).keys()
    lab_ground.set_back()
    assert list((tmp_path / "cron.d").iterdir()) == []
    assert b"./etc/cron.d/e2scrub_all" in picture(host).keys() - before


def processes(host: LabHost) -> str:
    return host.exec(["ps", "axo", "args"]).stdout.decode()


def test_what_a_test_left_running_is_ended_and_what_it_ended_runs(
    fleet: Fleet, lab_ground: Ground, lab_key: LabKey
) -> None:
    host = fleet["proxy"]
    sh(host, "setsid sleep 4711 >/dev/null 2>&1 & systemctl stop nginx cron")
    lab_key.ssh(host, "setsid sleep 4712 >/dev/null 2>&1 </dev/null &")
    sh(host, "systemd-run --unit=gone false; systemd-run --on-active=4713 true; systemd-run sleep 4714")
    assert "sleep 4712" in processes(host)
    lab_ground.set_back()
    assert "sleep 47" not in processes(host)
    assert sh(host, "systemctl is-active nginx cron ssh; systemctl list-timers --all").count("active\n") == 3
    assert "run-r" not in sh(host, "systemctl list-units --all; systemctl --failed")
    assert lab_ground.set_back() == {}
    assert "proxy" in sh(host, "curl -s http://127.0.0.1/")


def test_services_read_their_old_files_again(fleet: Fleet, lab_ground: Ground) -> None:
    proxy, files1 = fleet["proxy"], fleet["files1"]
    sh(
        proxy,
        "echo 'server { listen 8099; return 204; }' >/etc/nginx/sites-enabled/x; systemctl reload nginx",
    )
    sh(
        proxy,
        "printf '[Service]\nExecStart=/bin/sleep 4715\n' >/etc/systemd/system/ours.service; systemctl start ours",
    )
    sh(files1, "printf '[new]\npath=/srv\n' >>/etc/samba/smb.conf; useradd nina; systemctl restart smbd")
    sh(files1, "printf 'x\nx\n' | pdbedit -t -a nina")
    lab_ground.set_back()
    assert sh(proxy, "curl -s -o /dev/null -w %{http_code} http://127.0.0.1:8099/ || true") == "000"
    assert "sleep 4715" not in processes(proxy)
    assert "ours" not in sh(proxy, "systemctl list-units --all")
    assert "nina" not in sh(files1, "pdbedit -L; testparm -s 2>/dev/null")
    assert "new" not in sh(files1, "smbclient -N -L //127.0.0.1 -g 2>/dev/null || true")


def test_a_masked_service_runs_again(fleet: Fleet, lab_ground: Ground) -> None:
    sh(fleet["proxy"], "systemctl mask --now nginx; rm -r /etc/nginx")
    lab_ground.set_back()
    assert "proxy" in sh(fleet["proxy"], "curl -s http://127.0.0.1/")


def test_rules_of_the_firewall_are_as_they_were(fleet: Fleet, lab_ground: Ground, lab_key: LabKey) -> None:
    pve1 = fleet["pve1"]
    rules = "iptables-save | grep -v '^#' | sed 's/ .[0-9]*:[0-9]*.$//'"
    before = sh(pve1, rules)
    sh(pve1, "iptables -t nat -F; iptables -N OURS; iptables -A INPUT -j OURS; iptables -P FORWARD DROP")
    sh(pve1, "ip6tables -A INPUT -j DROP; iptables -t mangle -A POSTROUTING -j ACCEPT")
    assert lab_key.ssh(fleet["web1"], "true").returncode
    lab_ground.set_back()
    assert [line for line in sh(pve1, rules).splitlines() if "-A" in line or "OURS" in line] == [
        line for line in before.splitlines() if "-A" in line
    ]
    assert "-P FORWARD ACCEPT" in sh(pve1, "iptables -S")
    assert "DROP" not in sh(pve1, "ip6tables-save")
    assert lab_key.ssh(fleet["web1"], "hostname").stdout == "web1\n"


def test_mounts_and_what_lies_in_memory_go(fleet: Fleet, lab_ground: Ground) -> None:
    host = fleet["backup1"]
    before = sh(host, "cut -d' ' -f2,3 /proc/mounts | sort")
    sh(
        host,
        "mkdir '/srv/a b'; mount -t tmpfs none '/srv/a b'; mount -t tmpfs none /etc/cron.d; mount --bind /root /mnt",
    )
    sh(
        host,
        "mount -t tmpfs none /mnt; echo x >/run/ours; mkdir -p /run/lock/ours /dev/shm/ours; echo x >/tmp/ours",
    )
    assert "started anew" not in lab_ground.set_back()["backup1"]
    assert sh(host, "cut -d' ' -f2,3 /proc/mounts | sort") == before
    assert sh(host, "ls -d /run/ours /run/lock/ours /dev/shm/ours /tmp/ours 2>/dev/null || true") == ""


def cut(fleet: Fleet) -> None:
    fleet["web1"].cut()
    fleet["backup1"].cut()


def stop(fleet: Fleet) -> None:
    sh(fleet["backup1"], "echo x >/etc/new")
    fleet["backup1"].stop()


def stop_in_front(fleet: Fleet) -> None:
    fleet["pve1"].stop(power_cut=True)


def reboot(fleet: Fleet) -> None:
    sh(fleet["backup1"], "echo x >/etc/new")
    fleet["backup1"].reboot()


def address(fleet: Fleet) -> None:
    sh(fleet["backup1"], "ip address add 203.0.113.7/24 dev eth0; ip route add blackhole 192.0.2.0/24")


def wreck(fleet: Fleet) -> None:
    """More than can be undone on a host that runs."""
    fleet["backup1"].exec(["sh", "-c", "umount -l /run; rm -rf /usr/bin /lib"])


@pytest.mark.parametrize("harm", [cut, stop, stop_in_front, reboot, address, wreck])
def test_hosts_run_and_are_reached_again(
    fleet: Fleet, lab_ground: Ground, lab_key: LabKey, harm: Callable[[Fleet], None]
) -> None:
    before = picture(fleet["backup1"])
    harm(fleet)
    assert lab_ground.set_back()
    for host in fleet:
        assert lab_key.ssh(host, "hostname").stdout == f"{host.name}\n"
    assert "203.0.113.7" not in sh(fleet["backup1"], "ip address")
    assert picture(fleet["backup1"]).keys() == before.keys()
    assert lab_ground.set_back() == {}


def test_hosts_that_a_test_has_added_go(fleet: Fleet, lab_ground: Ground, lab_key: LabKey) -> None:
    names = [host.name for host in fleet]
    fleet.add_host("late")
    fleet.add_host("behind", behind="pve1")
    lab_ground.set_back()
    found = Fleet.find(fleet.name)
    assert [host.name for host in fleet] == names == [host.name for host in found or ()]
    assert "2203" not in sh(fleet["pve1"], "iptables-save -t nat; cat /usr/local/sbin/admin-nat")


def test_guests_and_faults_of_the_api_go(fleet: Fleet, lab_ground: Ground) -> None:
    api = LabApi.of(fleet, "pve1")
    before = load_world(fleet.name).to_json()
    api.set_faults([Slow(path="*", seconds=3600)])
    assert lab_ground.set_back() == {"the Proxmox API": "faults"}
    world = load_world(fleet.name)
    world.guests[102].config["memory"] = 77
    (lab_ground.fleet["web1"].container.folder.parent / f"{fleet.name}.pve1-ct150" / "disk").mkdir(
        parents=True
    )
    assert set(lab_ground.set_back()) == {"the Proxmox API"}
    assert load_world(fleet.name).to_json()["guests"] == before["guests"]
    assert not (lab_ground.fleet["web1"].container.folder.parent / f"{fleet.name}.pve1-ct150").exists()


def test_a_host_that_the_api_has_destroyed_is_there_again(
    fleet: Fleet, lab_ground: Ground, lab_key: LabKey
) -> None:
    from tests.lab.pve.test_real import connect, done

    api = connect(LabApi.of(fleet, "pve1"))
    assert done(api, api.nodes("pve1").lxc(102).status.stop.post()) == "OK"
    assert done(api, api.nodes("pve1").lxc(102).delete()) == "OK"
    assert "web1" not in [host.name for host in Fleet.find(fleet.name) or ()]
    assert "web1" in lab_ground.set_back()
    assert lab_key.ssh(fleet["web1"], "hostname").stdout == "web1\n"
    assert any(item["name"] == "web1" for item in api.nodes("pve1").lxc.get())


def test_a_fleet_that_nobody_touched_costs_next_to_nothing(lab_ground: Ground) -> None:
    lab_ground.set_back()
    least = 9.0
    for _time in range(5):
        begin = processor_seconds()
        assert lab_ground.set_back() == {}
        least = min(least, processor_seconds() - begin)
    assert least < 0.5
