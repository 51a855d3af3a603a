"""Certificates and keys that somebody made to do harm: refused by their field, quickly, and never stored."""

import base64
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from forwarding.models import StoredCertificate
from forwarding.pairs import BadPair, checked_pair, facts_of, read_chain
from tests.forwarding.made_certificates import certificate, new_key, pair, pem_of, text_of
from tests.forwarding.test_certificates_pages import JSON, NAME, hostname, upload, url

__all__ = ["hostname"]  # a fixture
CERTIFICATE = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
KEY = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")
SECONDS = 2.0  # of processor time, on a slow machine; the quadratic way took ten times as long


@pytest.mark.parametrize(
    "part", [CERTIFICATE[0], KEY[0], "-----BEGIN RSA PRIVATE KEY-----x", CERTIFICATE[0] + "\n" + KEY[0], "-----",
             CERTIFICATE[0] + "-----END CERTIFICATE----"],
)  # fmt: skip
def test_a_text_full_of_beginnings_is_refused_at_once(part):
    text = (part * 100_000)[:100_000]
    before = time.process_time()
    with pytest.raises(BadPair):
        read_chain(text)
    with pytest.raises(BadPair):
        checked_pair(text, text[:20_000], NAME, timezone.now())
    assert time.process_time() - before < SECONDS


def test_a_key_so_long_that_checking_it_takes_long_is_refused_unread():
    text = f"{KEY[0]}\n{'A' * 6000}\n{KEY[1]}"
    with pytest.raises(BadPair) as caught:
        checked_pair(pair(NAME)[0], text, NAME, timezone.now())
    assert "too long" in caught.value.errors["key"][0]


def test_a_key_of_4096_bits_is_not_too_long():
    key = rsa.generate_private_key(65537, 4096)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        chain, _ = pair(NAME, key=key)
        assert checked_pair(chain, pem_of(key, form), NAME, timezone.now())


@pytest.mark.parametrize("make", [x25519.X25519PrivateKey.generate, ed448.Ed448PrivateKey.generate,
                                  lambda: dsa.generate_private_key(2048)])  # fmt: skip
def test_a_key_of_a_kind_that_is_for_something_else_is_refused(make):
    with pytest.raises(BadPair) as caught:
        checked_pair(pair(NAME)[0], pem_of(make()), NAME, timezone.now())
    assert "RSA and ECDSA" in caught.value.errors["key"][0]


@pytest.mark.parametrize("how", ["signature", "length", "version", "date"])
def test_a_certificate_that_is_no_whole_one_is_refused_in_words(how):
    der = bytearray(certificate(new_key(), [NAME]).public_bytes(Encoding.DER))
    ecdsa_sha256 = bytes.fromhex("06082a8648ce3d040302")
    if how == "signature":  # an algorithm that nobody knows
        der = der.replace(ecdsa_sha256, bytes.fromhex("06082a8648ce3d04037f"))
    elif how == "length":
        der[2] ^= 1
    elif how == "version":
        der = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020109"))
    else:  # the first of two dates; the random serial number before it may have 17 0d in it, too
        at = der.index(b"\x30\x1e\x17\x0d") + 2
        der[at + 2 : at + 8] = b"999999"
    text = f"{CERTIFICATE[0]}\n{base64.encodebytes(bytes(der)).decode()}{CERTIFICATE[1]}\n"
    with pytest.raises(BadPair) as caught:
        checked_pair(text, pem_of(new_key()), NAME, timezone.now())
    assert caught.value.errors["chain"]


def test_what_a_certificate_says_of_itself_holds_no_sign_that_steers_a_page_or_database():
    names = x509.SubjectAlternativeName([
        x509.DNSName(NAME), x509.DNSName("a\x00.example.org"), x509.DNSName("b\n.example.org"),
        x509.DNSName("x" * 300), x509.DNSName("*.example.org"),
    ])  # fmt: skip
    own = certificate(new_key(), names, subject="Good\x00\n\u202eCA")
    facts = facts_of(own)
    assert facts.names == (NAME, "*.example.org")
    assert facts.issuer == "Good���CA"
    with pytest.raises(BadPair) as caught:
        checked_pair(
            text_of(own, certificate(new_key(9), subject="Odd\x00\u202e")),
            pem_of(new_key()),
            NAME,
            timezone.now(),
        )
    assert "Odd��" in caught.value.errors["chain"][0]


@pytest.mark.parametrize(
    ("chain", "key"),
    [("\ud800" * 50, KEY[0] + "\udfff" + KEY[1]), (CERTIFICATE[0] + "\ud800" + CERTIFICATE[1], "\x00"),
     (["a"], {"b": 1}), (None, 5), (True, False), ("x" * 3_000_000, "y")],
)  # fmt: skip
def test_what_no_form_sends_is_refused_by_json_too(admin_client, hostname, chain, key):
    answer = admin_client.post(
        url(hostname, "upload_certificate"),
        {"chain": chain, "key": key},
        content_type="application/json",
        headers=JSON,
    )
    assert 400 <= answer.status_code < 500
    assert not StoredCertificate.objects.exists()


def test_files_that_are_no_text_too_big_or_many_are_refused(admin_client, hostname):
    good_chain, good_key = pair(NAME)
    for chain, key in (
        (b"\x30\x82" + b"\xff" * 500, b"\x00" * 100),
        (b"x" * 100_001, b"y" * 20_001),
        (b"", b""),
    ):
        sent = {
            "chain_file": SimpleUploadedFile("../../etc/x\x00.pem", chain),
            "key_file": SimpleUploadedFile("k", key),
        }
        answer = admin_client.post(url(hostname, "upload_certificate"), sent)
        assert 400 <= answer.status_code < 500
    many = {
        "chain": good_chain,
        "key": good_key,
        **{f"f{n}": SimpleUploadedFile("f", b"x") for n in range(150)},
    }
    assert admin_client.post(url(hostname, "upload_certificate"), many).status_code == 400
    assert not StoredCertificate.objects.exists()


def test_the_subject_of_a_certificate_is_markup_nowhere(admin_client, hostname):
    key = new_key()
    own = certificate(key, [NAME], subject="<script>alert(1)</script>")
    assert upload(admin_client, hostname, text_of(own), pem_of(key)).status_code == 302
    assert "<script>alert" not in admin_client.get(url(hostname)).content.decode()
