"""A forwarded port that cannot be written is closed and told, and keeps no other from its host."""

import pytest

from forwarding.desired_ports import desired, nat_of, script
from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward
from servers import rollouts
from servers.configs import NotWritable
from servers.foretelling import foretell
from servers.models import Server

# Not on PostgreSQL: it holds no address and no name of an interface that is none.
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", [None, "2001:db8::7", "10.0.0.300", "10.0.0.7; reboot", "10.0.0.7%eth0"])
def test_a_rule_that_leads_nowhere_is_told_and_the_others_are_there(rows, actor, address):
    good = create_port_forward(actor, rows.rule("9000", to=rows.proxy))
    create_port_forward(actor, rows.rule("9001"))
    Server.objects.filter(pk=rows.web1.pk).update(internal_ip=address)
    nat = nat_of(rows.pve1)
    assert [forward.pk for forward in nat.forwards] == [good.pk]
    assert nat.left_out == ("The port tcp 9001 is closed: it leads to no internal IPv4 address.",)
    assert desired(rows.pve1).left_out == nat.left_out
    assert "reboot" not in script(nat)


def test_a_rule_that_is_switched_off_is_not_missed(rows, actor):
    create_port_forward(actor, rows.rule("9001"))
    PortForward.objects.update(active=False)
    Server.objects.filter(pk=rows.web1.pk).update(internal_ip=None)
    assert nat_of(rows.pve1).left_out == ()


@pytest.mark.parametrize("name", ["eth0 -j ACCEPT", "eth+", "$(reboot)", "a" * 16, "-i"])
def test_an_interface_that_cannot_be_written_leaves_the_host_as_it_is_and_is_told(rows, actor, name):
    Server.objects.filter(pk=rows.pve1.pk).update(external_interface=name)
    rows.pve1.refresh_from_db()
    rollouts.ask(actor, rows.pve1, ["nat"], "why")
    with pytest.raises(NotWritable, match="interface"):
        desired(rows.pve1)

    def mend() -> None:
        Server.objects.filter(pk=rows.pve1.pk).update(external_interface="eth0")
        rollouts.ask(actor, rows.pve1, ["nat"], "why")

    (told,) = foretell(mend)
    assert any(
        "no name of a network interface" in text for text in told.ends
    )  # what a form shows before it is saved
