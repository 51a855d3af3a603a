"""What a host uses of its ports, read from its own tools' words."""

from hypothesis import given
from hypothesis import strategies as st

from forwarding.reading import NAT, SOCKETS, read
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
-A PREROUTING ! -i vmbr0 -p tcp -m tcp --dport 2201 -j DNAT --to-destination 10.0.0.101:22
-A PREROUTING -p udp -m multiport --dports 53,5000:5010 -j REDIRECT --to-ports 53
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A GESTION-PORTS -p tcp -m tcp --dport 80 -m comment --comment gestion-1 -j DNAT --to-destination 10.0.0.2:80
-A POSTROUTING -s 10.0.0.0/24 -m comment --comment "it's mine; -j DNAT" -j MASQUERADE
COMMIT
"""


def read_from(sockets: str, rules: str):
    answers = {SOCKETS: Result(0, sockets.encode()), NAT: Result(0, rules.encode())}
    return read(MemoryHost(answers=answers), "10.0.0.1")


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


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_whatever_a_host_says_is_survived(words):
    from forwarding.reading import _foreign, _listening

    list(_listening(words, None))
    list(_foreign(f"-A X {words}"))
