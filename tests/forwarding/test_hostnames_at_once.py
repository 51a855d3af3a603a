"""Two admins at once: both hostnames arrive, and of two that want one name only one gets it."""

import pytest
from django.core.exceptions import ValidationError

from accounts.actors import Actor
from forwarding.desired_hostnames import sites_of
from forwarding.models import HostnameClaim, HostnameForward
from forwarding.services.hostnames import create_hostname, delete_hostname
from servers.models import Rollout
from tests.forwarding.test_ports_at_once import at_once

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ADMINS = 6
ACTOR = Actor.system("admin")


def test_hostnames_added_at_once_all_arrive(web):
    made = at_once(
        lambda number: create_hostname(
            ACTOR, web.hostname(domain=f"www{number}.example.org"), web.to(web.web1)
        ),
        range(ADMINS),
    )
    assert {row.pk for row in made} == {site.pk for site in sites_of(web.proxy).good}
    assert Rollout.objects.get().wanted == ADMINS


def test_of_those_that_want_one_name_at_once_one_gets_it_and_the_others_are_told(web):
    made = at_once(lambda _number: create_hostname(ACTOR, web.hostname(), web.to(web.web1)), range(ADMINS))
    refused = [error for error in made if isinstance(error, ValidationError)]
    assert len(refused) == ADMINS - 1
    assert all("domain" in error.message_dict for error in refused)
    assert HostnameForward.objects.count() == HostnameClaim.objects.count() == 1


def test_a_port_becomes_http_or_https_and_never_both(web):
    plain = {"domain": "a.example.org", "port": 8443}
    tls = {"domain": "b.example.org", "https_port": 8443, "certificate_kind": "uploaded"}
    made = at_once(
        lambda fields: create_hostname(ACTOR, web.hostname(**fields), web.to(web.web1)), [plain, tls]
    )
    assert sum(isinstance(error, ValidationError) for error in made) == 1


def test_one_adds_while_the_other_deletes(web):
    old = create_hostname(ACTOR, web.hostname(), web.to(web.web1))
    at_once(
        lambda adds: (
            create_hostname(ACTOR, web.hostname(domain="b.example.org"), web.to(web.web2))
            if adds
            else delete_hostname(ACTOR, old)
        ),
        [True, False],
    )
    assert [site.domain for site in sites_of(web.proxy).good] == ["b.example.org"]
