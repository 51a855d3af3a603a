"""What "What answers" says of a rule or hostname that its server does not have."""

import pytest

from forwarding.answering import in_rules
from forwarding.answering_hostnames import at_nginx
from forwarding.desired_hostnames import CHOSEN, site_of
from forwarding.desired_ports import SCRIPT, forward_of
from forwarding.models import HostnameForward, PortForward
from forwarding.nginx_sites import site_conf
from forwarding.services.hostnames import create_hostname
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


def host_with(rule, *, ports="", line="") -> MemoryHost:
    """A host that has the rule, whose script and chains say this of it."""
    forward = forward_of(rule)
    active = f"-A GESTION-PORTS -p tcp -m tcp --dport {ports or forward.ports} -m comment --comment gestion-{rule.pk}"
    answers: Answers = {(SCRIPT, "status"): f"echo '{active} -j DNAT --to-destination {forward.to}:80'"}
    return MemoryHost({SCRIPT: f"cat <<'END'\n{line or forward.line}\nEND\n".encode()}, answers=answers)


def test_a_rule_as_it_is_here_is_there(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    found = in_rules(rule, host_with(rule))
    assert (found.ok, found.words) == (True, "pve1 has this rule.")


@pytest.mark.parametrize(
    "old", [{"first_port": 8070, "last_port": 8070}, {"destination_first": 81, "destination_last": 81}]
)
def test_a_rule_that_was_changed_and_whose_rollout_failed_is_not_there(rows, actor, old):
    rule = create_port_forward(actor, rows.rule())
    before = PortForward.objects.get(pk=rule.pk)
    for name, value in old.items():
        setattr(before, name, value)
    host = host_with(before)
    Rollout.objects.update(state=RolloutState.FAILED)
    found = in_rules(rule, host)
    assert found.ok is False
    assert found.words == "pve1 has this rule, but not as it is here: its rollout is “failed”."


def test_a_rule_whose_port_somebody_changed_by_hand_is_told(rows, actor):
    rule = create_port_forward(actor, rows.rule())
    Rollout.objects.update(state=RolloutState.DRIFTED)
    found = in_rules(rule, host_with(rule, ports="8079"))
    assert found.words == "pve1 has this rule, but not as it is here: somebody has changed it there."


def test_what_was_switched_off_may_still_be_there_while_its_rollout_is_not_through(rows, actor):
    rule = create_port_forward(actor, rows.rule(active=False))
    Rollout.objects.update_or_create(server=rows.pve1, kind="nat", defaults={"state": RolloutState.FAILED})
    assert in_rules(rule, MemoryHost()).words == (
        "The rule is switched off. pve1 may not know of it yet: its rollout is “failed”."
    )
    Rollout.objects.update(state=RolloutState.IN_SYNC)
    assert in_rules(rule, MemoryHost()).words == "The rule is switched off."


@pytest.mark.parametrize(
    ("state", "why"), [("failed", "its rollout is “failed”."), ("drifted", "somebody has changed its file.")]
)
def test_a_hostname_that_nginx_has_as_it_was_before_is_not_served(web, actor, state, why):
    row = create_hostname(actor, web.hostname(), web.to(web.web1))
    before = site_conf(site_of(row))
    row.domain = "other.example.org"
    row.save()
    Rollout.objects.filter(server=web.proxy, kind="nginx").update(state=state)
    chosen = f"include /etc/nginx/gestion/sites/{row.pk}.conf;\n".encode()
    host = MemoryHost({CHOSEN: chosen, f"/etc/nginx/gestion/sites/{row.pk}.conf": before.encode()})
    found = at_nginx(row, web.proxy, host)
    assert (found.ok, found.words) == (False, f"nginx has it, but not as it is here: {why}")


@pytest.mark.parametrize(
    ("state", "why"), [("waiting", "its rollout is “waiting”."), ("in_sync", "somebody has taken it out.")]
)
def test_a_hostname_that_nginx_does_not_have_is_not_served_whatever_its_default_answers(rows, state, why):
    row = HostnameForward.objects.create(host=rows.pve1, domain="a.example.org")
    Rollout.objects.create(server=rows.proxy, kind="nginx", state=state)
    host = MemoryHost({CHOSEN: b"include /etc/nginx/gestion/sites/0-port-80.conf;\n"})
    found = at_nginx(row, rows.proxy, host)
    assert (found.ok, found.words) == (False, f"nginx does not have it: {why}")
