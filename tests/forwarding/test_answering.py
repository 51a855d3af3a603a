"""What "What answers" says of a rule or hostname that its server does not have."""

import pytest

from forwarding.answering import in_rules
from forwarding.answering_hostnames import at_nginx
from forwarding.desired_hostnames import CHOSEN
from forwarding.desired_ports import SCRIPT
from forwarding.models import HostnameForward
from forwarding.services.ports import create_port_forward
from hosts.memory import Answers, MemoryHost
from servers.models import Rollout, RolloutState

pytestmark = pytest.mark.django_db
STATUS: Answers = {(SCRIPT, "status"): "echo nat-vz is active."}


@pytest.mark.parametrize("state", [RolloutState.WAITING, RolloutState.FAILED, RolloutState.UNREACHABLE])
def test_a_rule_whose_rollout_is_not_through_says_so(rows, actor, state):
    rule = create_port_forward(actor, rows.rule())
    Rollout.objects.update(state=state)
    found = in_rules(rule, MemoryHost(answers=STATUS))
    assert found.words == f"pve1 does not have this rule: its rollout is “{state.label}”."


def test_a_rule_that_somebody_took_away_has_the_hosts_own_words(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    Rollout.objects.update(state=RolloutState.IN_SYNC)
    said = in_rules(rule, MemoryHost(answers={(SCRIPT, "status"): "echo GESTION-PORTS differs."}))
    assert (said.ok, said.words) == (False, "pve1 does not have this rule: GESTION-PORTS differs.")


@pytest.mark.parametrize(
    ("state", "why"), [("waiting", "its rollout is “waiting”."), ("in_sync", "somebody has taken it out.")]
)
def test_a_hostname_that_nginx_does_not_have_is_not_served_whatever_its_default_answers(rows, state, why):
    row = HostnameForward.objects.create(host=rows.pve1, domain="a.example.org")
    Rollout.objects.create(server=rows.proxy, kind="nginx", state=state)
    host = MemoryHost({CHOSEN: b"include /etc/nginx/gestion/sites/0-port-80.conf;\n"})
    found = at_nginx(row, rows.proxy, host)
    assert (found.ok, found.words) == (False, f"nginx does not have it: {why}")
