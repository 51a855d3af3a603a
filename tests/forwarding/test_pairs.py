"""Certificates and keys as people paste them: taken when they fit, else refused with the reason by the field."""

import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from forwarding.pairs import BadPair, checked_pair, covers
from tests.forwarding.made_certificates import (
    DAY,
    authority,
    certificate,
    new_key,
    pair,
    pem_of,
    text_of,
)

NAME = "www.example.org"


def refused(chain: str, key: str, name: str = NAME) -> dict[str, list[str]]:
    with pytest.raises(BadPair) as caught:
        checked_pair(chain, key, name, timezone.now())
    return caught.value.errors


def test_a_pair_is_taken_in_its_own_form():
    chain, key = pair(NAME, "example.org")
    found = checked_pair(f"subject=…\n{chain}\nand words", f"words\n{key}", NAME, timezone.now())
    assert found.pair.chain.decode() == chain
    assert found.pair.key.decode() == key
    assert found.facts.names == (NAME, "example.org")
    assert found.facts.issuer == "Test Intermediate"
    assert found.facts.not_after - timezone.now() < timedelta(days=90)
    assert len(found.facts.fingerprint) == 64


@pytest.mark.parametrize("turned", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_a_chain_in_any_order_is_put_into_the_right_one(turned):
    root, intermediate = authority()
    leaf = certificate(new_key(), [NAME], issuer=intermediate, issuer_key=new_key(101))
    chain = (leaf, intermediate, root)
    found = checked_pair(text_of(*(chain[i] for i in turned)), pem_of(new_key()), NAME, timezone.now())
    assert found.pair.chain.decode() == text_of(*chain)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
@pytest.mark.parametrize("make", [lambda: rsa.generate_private_key(65537, 2048), lambda: new_key(7)])
def test_keys_are_taken_in_every_form_and_kept_in_one(make, form):
    key = make()
    chain, _ = pair(NAME, key=key)
    found = checked_pair(chain, pem_of(key, form), NAME, timezone.now())
    assert found.pair.key.decode() == pem_of(key)


def test_the_key_of_another_certificate_is_refused():
    errors = refused(pair(NAME)[0], pem_of(new_key(3)))
    assert list(errors) == ["key"]


def test_what_does_not_serve_this_domain_now_is_refused():
    now = timezone.now()
    for options, name, word in (
        ({}, "other.example.org", "but for www.example.org"),
        ({"begins": now - 2 * DAY, "ends": now - DAY}, NAME, "ended on"),
        ({"begins": now + DAY}, NAME, "begins only"),
        ({"usage": ExtendedKeyUsageOID.CLIENT_AUTH}, NAME, "not made for servers"),
    ):
        errors = refused(*pair(NAME, **options), name)
        assert word in errors["chain"][0], errors


def test_a_name_in_the_subject_alone_does_not_count():
    alone = certificate(new_key(), subject=NAME)
    assert "no domain at all" in refused(text_of(alone), pem_of(new_key()))["chain"][0]


def test_a_broken_hash_is_refused(tmp_path):
    argv = ["openssl", "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-noenc", "-subj", f"/CN={NAME}"]
    argv += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key", "-out", "chain"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    assert "broken" in refused((tmp_path / "chain").read_text(), (tmp_path / "key").read_text())["chain"][0]


def test_certificates_that_belong_to_nothing_are_refused():
    stray = certificate(new_key(9), [NAME], subject="stray")
    chain, key = pair(NAME)
    assert "first: stray" in refused(chain + text_of(stray), key)["chain"][0]


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (rsa.generate_private_key(65537, 1024), "2048 bits"),  # noqa: S505 - that is the point
        (ed25519.Ed25519PrivateKey.generate(), "RSA and ECDSA"),
        (ec.generate_private_key(ec.SECP256K1()), "RSA and ECDSA"),
    ],
)
def test_keys_that_browsers_or_nginx_refuse_are_refused(key, word):
    assert word in refused(pair(NAME)[0], pem_of(key))["key"][0]


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_key_with_a_passphrase_is_refused_with_how_to_take_it_off(form):
    assert "openssl pkey" in refused(pair(NAME)[0], pem_of(new_key(), form, b"hidden"))["key"][0]


def test_a_private_key_among_the_certificates_is_refused_without_showing_it():
    chain, key = pair(NAME)
    errors = refused(chain + key, key)
    assert "own field" in errors["chain"][0]
    assert key.splitlines()[1] not in str(errors)


def test_too_much_is_refused_before_it_is_read():
    chain, key = pair(NAME)
    assert refused(chain * 200, key)["chain"]
    assert refused(text_of(*[authority()[0]] * 11), key)["chain"]
    assert refused(chain, key + "x" * 30_000)["key"]


def test_what_is_damaged_is_refused_by_its_field():
    chain, key = pair(NAME)
    lines = key.splitlines()
    assert refused(chain, "\n".join([lines[0], lines[1][:-4], *lines[2:]]))["key"]
    broken = chain.replace(chain.splitlines()[3], "A" * 64)
    assert "damaged" in refused(broken, key)["chain"][0]


@given(st.text(max_size=300), st.text(max_size=300), st.booleans(), st.booleans())
def test_whatever_is_pasted_is_refused_in_words(chain, key, in_chain, in_key):
    if in_chain:
        chain = f"-----BEGIN CERTIFICATE-----\n{chain}\n-----END CERTIFICATE-----"
    if in_key:
        key = f"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----"
    errors = refused(chain, key)
    assert set(errors) <= {"chain", "key"}
    assert all(errors.values())


def test_a_star_is_one_label():
    assert covers(["*.example.org"], "www.example.org")
    assert covers(["*.example.org"], "*.example.org")
    assert covers(["www.example.org"], "www.example.org")
    assert not covers(["*.example.org"], "example.org")
    assert not covers(["*.example.org"], "a.b.example.org")
    assert not covers(["www.example.org"], "*.example.org")
    assert not covers(["*"], "example")
    assert not covers(["*."], "example")
