"""200 random rule sets on a real host: iptables has what the rows say, and everybody else's rules are as they were."""

import random

import pytest

from forwarding.desired_ports import nat_of, script
from forwarding.models import PortForward, Protocol
from lab import Fleet, LabHost
from servers.models import Server

pytestmark = [pytest.mark.lab, pytest.mark.django_db]

SETS = 200
END = "=== end of set"
INSIDE, OUTSIDE = "10.0.0.0/24", "198.51.100.10"

# What Docker, Proxmox's firewall and an administrator have, as far as iptables is concerned.
FOREIGN = """\
*filter
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:PVEFW-FORWARD - [0:0]
-A FORWARD -j PVEFW-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
-A PVEFW-FORWARD -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp -m tcp --dport 111 -m comment --comment "it's \\"mine\\"; GESTION" -j DROP
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 33033 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""


def random_rules(pick: random.Random, host: Server, guests: list[Server]) -> list[PortForward]:
    """Rules that do not overlap: single ports and ranges, that keep their place, move it, or go to one port."""
    rules, last = [], dict.fromkeys(Protocol.values, 1000)
    for _number in range(pick.choice([0, 1, 2, 5, 20, 40])):
        protocol = pick.choice(Protocol.values)
        first = last[protocol] + pick.randint(1, 60)
        width = pick.choice([0, 0, 0, 1, 9, 300])
        last[protocol] = first + width
        inside = pick.choice([first, pick.randint(1, 65000)])
        inside_width = pick.choice([0, width])
        rules.append(
            PortForward(
                host=host, destination=pick.choice(guests), protocol=protocol, first_port=first,
                last_port=first + width, destination_first=inside, destination_last=inside + inside_width,
                active=pick.random() < 0.9, note=pick.choice(["", "'; reboot #", "$(id)\\", "“ö”"]),
            )
        )  # fmt: skip
    return rules


def said_by_rows(rules: list[PortForward]) -> set[str]:
    """What iptables-save says if the rows are in force: written down a second time, another way."""
    ours = "-m comment --comment gestion"
    hairpin = f"-m conntrack --ctstate DNAT --ctorigdst {OUTSIDE}"
    lines = {
        f"-A FORWARD {ours} -j GESTION-FORWARD",
        f"-A PREROUTING {ours} -j GESTION-PRE",
        f"-A OUTPUT {ours} -j GESTION-OUT",
        f"-A POSTROUTING {ours} -j GESTION-POST",
        f"-A GESTION-PRE -i eth0 -m addrtype --dst-type LOCAL {ours} -j GESTION-PORTS",
        f"-A GESTION-PRE -d {OUTSIDE}/32 {ours} -j GESTION-PORTS",
        f"-A GESTION-OUT -d {OUTSIDE}/32 {ours} -j GESTION-PORTS",
        f"-A GESTION-POST -s {INSIDE} ! -d {INSIDE} -o eth0 {ours} -j MASQUERADE",
        f"-A GESTION-POST -s {INSIDE} -d {INSIDE} {hairpin} {ours} -j MASQUERADE",
        f"-A GESTION-FORWARD -s {INSIDE} -o eth0 {ours} -j ACCEPT",
        f"-A GESTION-FORWARD -d {INSIDE} -m conntrack --ctstate RELATED,ESTABLISHED {ours} -j ACCEPT",
    }
    for rule in (rule for rule in rules if rule.active):
        proto, to = rule.protocol, rule.destination.internal_ip
        ports, inside = rule.ports.replace("-", ":"), rule.destination_ports.replace("-", ":")
        mark = f"-m comment --comment gestion-{rule.pk}"
        if "-" not in rule.destination_ports:
            target = f"{to}:{inside}"
        elif rule.destination_ports == rule.ports:
            target = str(to)
        else:
            target = f"{to}:{rule.destination_ports}/{rule.first_port}"
        lines.add(
            f"-A GESTION-PORTS -p {proto} -m {proto} --dport {ports} {mark} -j DNAT --to-destination {target}"
        )
        lines.add(
            f"-A GESTION-FORWARD -d {to}/32 -p {proto} -m {proto} --dport {inside} "
            f"-m conntrack --ctstate DNAT {mark} -j ACCEPT"
        )
    return lines


def rules_of(saved: str) -> tuple[list[str], list[str]]:
    """Our rules and everybody else's, of what iptables-save said."""
    lines = [line for line in saved.splitlines() if line.startswith("-A ") or " - [" in line]
    ours = [line for line in lines if "gestion" in line]
    return ours, [line for line in lines if "GESTION-" not in line]


@pytest.fixture
def pve1(fleet: Fleet) -> LabHost:
    return fleet["pve1"]


def test_iptables_has_what_the_rows_say_and_foreign_rules_stay(pve1: LabHost, rows):
    assert pve1.exec(["iptables-restore", "--noflush"], stdin=FOREIGN.encode()).returncode == 0
    foreign = rules_of(pve1.exec(["iptables-save"]).stdout.decode())[1]
    assert len(foreign) > 12
    pick, stream, expected = random.Random(3), b"", []
    guests = [rows.proxy, rows.web1]
    for _number in range(SETS):
        PortForward.objects.all().delete()
        rules = random_rules(pick, rows.pve1, guests)
        PortForward.objects.bulk_create(rules)
        text = script(nat_of(rows.pve1)).encode()
        stream += b"%d\n%s" % (len(text), text)
        expected.append(said_by_rows(rules))
    told = pve1.exec(["sh", "-c", EACH, "sh", END, str(SETS)], stdin=stream, timeout=280)
    assert told.returncode == 0, told.stderr.decode()[-2000:]
    answers = told.stdout.decode().split(f"{END}\n")
    assert len(answers) == SETS + 2
    for number, saved in enumerate(answers[:SETS]):
        ours, others = rules_of(saved)
        assert len(ours) == len(set(ours))
        assert set(ours) == expected[number], number
        assert others == foreign, number
    assert rules_of(answers[SETS]) == ([], foreign)  # after a stop


# Each script becomes the host's nat-vz and is started, mostly once, at times twice; at the end the last one stops.
EACH = """
set -e
number=0
while [ "$number" -lt "$2" ]; do
  read -r size
  head -c "$size" > /etc/init.d/nat-vz
  sh /etc/init.d/nat-vz restart
  [ $((number % 10)) != 0 ] || sh /etc/init.d/nat-vz start
  [ $((number % 10)) != 0 ] || sh /etc/init.d/nat-vz status >/dev/null
  iptables-save
  echo "$1"
  number=$((number + 1))
done
sh /etc/init.d/nat-vz stop
iptables-save
echo "$1"
rm /etc/init.d/nat-vz
"""
