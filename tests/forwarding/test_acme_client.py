"""The ACME client against a real ACME server (Debian's pebble), with what it wants to read served from here."""

import time
from collections.abc import Iterator

import pytest
from django.utils import timezone

from forwarding.acme_client import Authority, new_key
from forwarding.acme_troubles import AcmeTrouble, AuthorityAway
from forwarding.pairs import checked_pair
from tests.forwarding import pebble
from tests.forwarding.answerer import Answerer

NAME = "www.example.org"
FILES: dict[str, str] = {}


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    made = Answerer(FILES.get)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def acme(answerer, tmp_path_factory) -> Iterator[pebble.Pebble]:
    """An authority that rejects one nonce in seven, as its authors want clients to bear."""
    folder = tmp_path_factory.mktemp("pebble")
    port = answerer.port
    with pebble.running(folder, port, PEBBLE_WFE_NONCEREJECT="15") as made:
        yield made


@pytest.fixture
def authority(acme) -> Authority:
    made = Authority(acme.directory, new_key(), email="ada@example.org", ca_file=acme.ca_file)
    made.sign_in()
    return made


def lay_down(answerer: Answerer, authority: Authority, order) -> None:
    for challenge in authority.challenges(order):
        FILES[challenge.token] = challenge.content
        authority.answer(challenge)


def test_a_certificate_is_ordered_proved_and_fetched(authority, answerer):
    key = new_key()
    order = authority.order(NAME, key)
    lay_down(answerer, authority, order)
    authority.prove(order, time.sleep, 30)
    chain = authority.certificate(order, time.sleep, 30)
    found = checked_pair(chain, key, NAME, timezone.now())
    assert found.facts.names == (NAME,)
    assert "Pebble" in found.facts.issuer


def test_signing_in_again_finds_the_same_account(acme):
    key = new_key()
    first, second = (Authority(acme.directory, key, ca_file=acme.ca_file).sign_in() for _ in range(2))
    assert first == second


def test_an_order_is_taken_up_again_at_every_step(acme, answerer):
    """As after a worker's death: all that is left is the order's URL and the key."""
    account, key = new_key(), new_key()

    def again(uri: str = ""):
        made = Authority(acme.directory, account, ca_file=acme.ca_file)
        made.sign_in()
        return made, made.order("again.example.org", key, uri)

    authority, order = again()
    authority, resumed = again(order.uri)
    assert resumed.uri == order.uri
    lay_down(answerer, authority, resumed)
    authority, resumed = again(order.uri)
    authority.prove(resumed, time.sleep, 30)
    authority, resumed = again(order.uri)
    assert authority.challenges(resumed) == []
    first = authority.certificate(resumed, time.sleep, 30)
    authority, resumed = again(order.uri)
    assert authority.certificate(resumed, time.sleep, 30) == first


def test_an_order_that_cannot_go_on_is_replaced(authority, answerer):
    order = authority.order("lost.example.org", new_key())
    for challenge in authority.challenges(order):
        authority.answer(challenge)
    with pytest.raises(AcmeTrouble) as caught:
        authority.prove(order, time.sleep, 30)
    assert "lost.example.org" in str(caught.value)
    assert "404" in str(caught.value) or "nothing here" in str(caught.value)
    assert not isinstance(caught.value, AuthorityAway)
    replaced = authority.order("lost.example.org", new_key(), order.uri)
    assert replaced.uri != order.uri
    assert authority.order("lost.example.org", new_key(), f"{order.uri}-of-nobody").uri != order.uri
    assert authority.order("other.example.org", new_key(), replaced.uri).uri != replaced.uri


def test_a_name_that_leads_elsewhere_is_told_in_the_authoritys_words(authority, acme):
    acme.point("elsewhere.example.org", "127.0.0.2")
    order = authority.order("elsewhere.example.org", new_key())
    for challenge in authority.challenges(order):
        authority.answer(challenge)
    with pytest.raises(AcmeTrouble, match="refused"):
        authority.prove(order, time.sleep, 30)


def test_a_wildcard_cannot_be_proved_by_http(authority):
    with pytest.raises(AcmeTrouble, match="HTTP-01"):
        authority.challenges(authority.order("*.example.org", new_key()))


def test_a_name_that_the_authority_refuses_is_told(authority):
    with pytest.raises(AcmeTrouble, match="refuses"):
        authority.order("127.0.0.1", new_key())


def test_an_authority_that_is_not_trusted_not_there_or_none_is_away(acme, answerer, tmp_path):
    port = answerer.port
    for directory, ca_file, word in (
        (acme.directory, "", "ACME_CA_FILE"),
        (acme.directory, str(tmp_path / "missing.pem"), "missing.pem"),
        ("https://127.0.0.1:1/dir", "", "cannot be reached: Connection refused$"),
        ("https://acme.invalid/dir", "", "cannot be reached: "),
        (f"http://127.0.0.1:{port}/dir", "", "HTTP 404"),
    ):
        with pytest.raises(AuthorityAway, match=word):
            Authority(directory, new_key(), ca_file=ca_file).sign_in()
