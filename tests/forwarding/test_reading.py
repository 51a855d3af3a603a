"""What a host uses of its ports, read from its own tools' words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarding.reading import NAT, SOCKETS, Outside, read
from hosts.host import Result
from hosts.memory import MemoryHost

SS = """\
udp   UNCONN 0      0            0.0.0.0:68         0.0.0.0:*    users:(("dhclient",pid=400,fd=6))
tcp   LISTEN 0      128          0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=1,fd=3))
tcp   LISTEN 0      128             [::]:22            [::]:*    users:(("sshd",pid=1,fd=4))
tcp   LISTEN 0      4096               *:8006             *:*    users:(("pveproxy",pid=9,fd=6)
tcp   LISTEN 0      100        127.0.0.1:25         0.0.0.0:*    users:(("master",pid=7,fd=13))
tcp   LISTEN 0      100            [::1]:25            [::]:*    users:(("master",pid=7,fd=14))
udp   UNCONN 0      0       10.0.0.1%vmbr0:67       0.0.0.0:*    users:(("dnsmasq",pid=5,fd=4))
udp   UNCONN 0      0      127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=4,fd=13))
tcp   LISTEN 0      128    198.51.100.10:443        0.0.0.0:*
"""
RULES = """\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:GESTION-PORTS - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING ! -i vmbr1 -p tcp -m tcp --dport 2201 -j DNAT --to-destination 10.0.0.101:22
-A PREROUTING -p udp -m multiport --dports 53,5000:5010 -j REDIRECT --to-ports 53
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A GESTION-PORTS -p tcp -m tcp --dport 80 -m comment --comment gestion-1 -j DNAT --to-destination 10.0.0.2:80
-A POSTROUTING -s 10.0.0.0/24 -m comment --comment "it's mine; -j DNAT" -j MASQUERADE
COMMIT
"""


def read_from(sockets: str, rules: str):
    answers = {SOCKETS: Result(0, sockets.encode()), NAT: Result(0, rules.encode())}
    return read(MemoryHost(answers=answers), Outside("vmbr0", "198.51.100.10", "10.0.0.1"))


def test_sockets_on_the_outside_are_found_with_their_program():
    assert read_from(SS, "").listening == (
        ("tcp", 22, 22, "sshd"),
        ("tcp", 443, 443, ""),
        ("tcp", 8006, 8006, "pveproxy"),
        ("udp", 68, 68, "dhclient"),
    )


def test_ports_that_foreign_rules_forward_are_found():
    assert read_from("", RULES).foreign == (
        ("tcp", 2201, 2201, "PREROUTING"),
        ("tcp", 8080, 8080, "DOCKER"),
        ("udp", 53, 53, "PREROUTING"),
        ("udp", 5000, 5010, "PREROUTING"),
    )


ALL_BUT = [(1, 21), (23, 8005), (8007, 65535)]


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        # all for one guest, a firewall say, but the host's own
        ("-i vmbr0 -p tcp -m multiport ! --dports 22,8006", [("tcp", *ports) for ports in ALL_BUT]),
        (
            "-i vmbr0 -p tcp -m multiport ! --dports 8006,22,1:20",
            [("tcp", 21, 21), ("tcp", 23, 8005), ("tcp", 8007, 65535)],
        ),
        ("-i vmbr0 -p tcp -m tcp ! --dport 22", [("tcp", 1, 21), ("tcp", 23, 65535)]),
        ("-d 198.51.100.10/32", [("tcp", 1, 65535), ("udp", 1, 65535)]),
        ("-i vmbr+ -p udp -m addrtype --dst-type LOCAL", [("udp", 1, 65535)]),
        ("! -s 203.0.113.9/32 -p tcp -m tcp --dport 80", [("tcp", 80, 80)]),
        ("-p icmp", []),
        ("-i vmbr0 -p tcp -m mark --mark 0x1", []),
        # for other addresses, cards and senders than those that come in there
        ("-d 198.51.100.11/32", []),
        ("-d 198.51.100.11/32 -p tcp -m tcp --dport 80", []),
        ("! -d 198.51.100.0/24 -p tcp -m tcp --dport 80", []),
        ("-i vmbr1 -p tcp -m tcp --dport 80", []),
        ("! -i vmbr0 -p tcp -m tcp --dport 80", []),
        ("-s 10.0.0.0/24 -p tcp -m tcp --dport 80", []),
    ],
)
def test_a_rule_takes_the_ports_that_it_takes(rule, ports):
    assert read_from("", f"-A PREROUTING {rule} -j DNAT --to-destination 10.0.0.2\n").foreign == tuple(
        (protocol, first, last, "PREROUTING") for protocol, first, last in ports
    )


def test_where_nothing_is_known_of_the_host_each_rule_counts():
    rules = (
        "-A PREROUTING -d 198.51.100.11/32 -i vmbr1 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128\n"
    )
    answers = {SOCKETS: Result(0, b""), NAT: Result(0, rules.encode())}
    assert read(MemoryHost(answers=answers), Outside()).foreign == (("tcp", 80, 80, "PREROUTING"),)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_whatever_a_host_says_is_survived(words):
    from forwarding.reading import _foreign, _listening

    list(_listening(words, None))
    list(_foreign(f"-A X {words}", Outside()))
