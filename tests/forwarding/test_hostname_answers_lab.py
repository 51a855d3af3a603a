"""“What answers” for hostnames, on real hosts: it says where the way breaks."""

from typing import Any

import pytest

from forwarding.answering import Answer
from forwarding.answering_hostnames import STEPS, verdict
from forwarding.models import HostnameForward, PortForward
from forwarding.services.hostname_answers import ask_what_answers
from forwarding.services.ports import delete_port_forward
from jobs.models import JobState
from lab import Fleet
from servers.models import Server
from tests.forwarding.nginx_lab import SYSTEM, add, furnish, lay, self_signed, stopped, try_again
from tests.jobs.working import work_off

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rows(fleet: Fleet, lab_key):
    """The lab in the inventory; the ports 80 and 443 of pve1 lead to proxy."""
    return furnish(fleet, lab_key)


def asked(row: HostnameForward) -> tuple[dict[str, list[bool | None]], list[Answer]]:
    """How each step went, and the answers."""
    ask_what_answers(SYSTEM, row)
    (job,) = work_off()
    assert job.state == JobState.DONE
    row.refresh_from_db()
    answers = [Answer(**answer) for answer in row.answers or ()]
    return {step: [one.ok for one in answers if one.step == step] for step in STEPS}, answers


def test_all_the_way(rows):
    row = add(rows, "a.example.org", "web1")
    work_off()
    steps, answers = asked(row)
    assert [steps[step] for step in ("guest", "reached", "nginx", "host", "outside")] == [[True]] * 5
    assert steps["name"] == [False]
    assert "a.example.org does not resolve" in verdict(answers)
    assert verdict(answers[:-1]) == "It answers all the way."


def test_one_destination_that_is_down_is_told_all_of_them_break_the_way(fleet, rows):
    row = add(rows, "a.example.org", "web1", "backup1")  # backup1 has no web server
    work_off()
    steps, answers = asked(row)
    assert steps["guest"] == [True, False]
    assert steps["reached"] == [True, False]
    assert steps["outside"] == [True]
    assert verdict(answers[:-1]).startswith("It answers, but not from every destination: Nothing listens")
    with stopped(fleet["web1"]):
        steps, answers = asked(row)
    assert steps["nginx"] == steps["outside"] == [False]
    assert verdict(answers) == "Nothing listens on TCP 80 in web1."


def test_a_hostname_that_is_left_out_says_why(fleet, rows):
    lay(fleet["proxy"], "/etc/ssl/b.pem", self_signed("a.example.org")[0])
    lay(fleet["proxy"], "/etc/ssl/b.key", self_signed("a.example.org")[1])
    paths: Any = {
        "certificate_kind": "paths",
        "certificate_path": "/etc/ssl/b.pem",
        "key_path": "/etc/ssl/b.key",
    }
    row = add(rows, "a.example.org", "web1", **paths)
    work_off()
    steps, answers = asked(row)
    assert steps["nginx"] == [False]
    assert "mismatch" in verdict(answers)


def test_a_certificate_that_browsers_do_not_trust_and_a_port_that_nobody_forwards(fleet, rows):
    chain, key = self_signed("a.example.org")
    lay(fleet["proxy"], "/etc/ssl/b.pem", chain)
    lay(fleet["proxy"], "/etc/ssl/b.key", key)
    paths: Any = {
        "certificate_kind": "paths",
        "certificate_path": "/etc/ssl/b.pem",
        "key_path": "/etc/ssl/b.key",
    }
    row = add(rows, "a.example.org", "web1", **paths)
    work_off()
    steps, answers = asked(row)
    assert steps["host"] == [True, True]
    assert steps["outside"] == [True, False]
    assert "Browsers do not trust its certificate: self-signed certificate" in verdict(answers)
    delete_port_forward(SYSTEM, PortForward.objects.get(first_port=80), confirmed=True)
    work_off()
    assert "No port of pve1 leads to port 80 of proxy." in verdict(asked(row)[1])


def test_a_name_that_another_site_of_the_nginx_server_has_is_told(fleet, rows):
    theirs = "server { listen 80; server_name a.example.org *.b.example.org; return 200 theirs; }\n"
    lay(fleet["proxy"], "/etc/nginx/sites-enabled/another", theirs)
    try:
        exact = add(rows, "a.example.org", "web1")
        wild = add(rows, "*.b.example.org", "web1")
        other = add(rows, "b.example.org", "web1")
        work_off()
    finally:
        fleet["proxy"].exec(["rm", "/etc/nginx/sites-enabled/another"])
    for row in (exact, wild, other):
        row.refresh_from_db()
    assert "Another site of this nginx has a.example.org" in exact.left_out
    assert "Another site of this nginx has *.b.example.org" in wild.left_out
    assert other.left_out == ""
    try_again(fleet["proxy"])
    assert "It answers" in verdict(asked(exact)[1][:-1])


def test_what_cannot_be_reached_is_told_and_the_rest_is_tried(rows):
    row = add(rows, "a.example.org", "web1")
    work_off()
    Server.objects.filter(pk=rows["proxy"].pk).update(ssh_connection="-p 1 root@198.51.100.250")
    steps, _answers = asked(row)
    assert steps["guest"] == [True]
    assert steps["nginx"] == [None]
    assert steps["outside"] == [True]
