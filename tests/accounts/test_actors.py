"""Who acts, and from where."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from accounts.actors import actor_of, client_address


def request(forwarded: str | None = None, address: str = "203.0.113.5"):
    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    made = RequestFactory(headers=headers).get("/", REMOTE_ADDR=address)
    made.user = AnonymousUser()
    return made


def test_a_strangers_word_for_the_own_address_does_not_count(settings):
    settings.TRUST_PROXY = False
    assert client_address(request("198.51.100.1")) == "203.0.113.5"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("10.0.0.1, 198.51.100.1", "198.51.100.1"),  # only the last one is the proxy's own word
        ("2001:db8::1", "2001:db8::1"),
        ("<script>", None),
        ("", None),
        (None, "203.0.113.5"),
    ],
)
def test_behind_a_proxy_its_word_counts(settings, forwarded, address):
    settings.TRUST_PROXY = True
    assert client_address(request(forwarded)) == address


def test_nobody_signed_in_is_anonymous():
    actor = actor_of(request())
    assert (actor.user, actor.name, actor.address) == (None, "anonymous", "203.0.113.5")
