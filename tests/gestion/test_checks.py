"""The settings' checks say what to set."""

import pytest

from gestion import checks


def ids(*found):
    return [message.id for messages in found for message in messages]


def every_check():
    return ids(
        checks.check_address(),
        checks.check_transport(),
        checks.check_secrets(),
        checks.check_data_dir(),
        checks.check_services(),
    )


@pytest.fixture
def good(settings, tmp_path):
    """Settings of a panel in production."""
    tmp_path.chmod(0o700)
    values = {
        "GESTION_URL": "https://gestion.example.org/",
        "ALLOWED_HOSTS": ["gestion.example.org"],
        "TRUST_PROXY": True,
        "ALLOW_PLAIN_HTTP_KEYS": False,
        "DEBUG": False,
        "SECRET_KEY": "s" * 50,
        "GESTION_ENCRYPTION_KEYS": ["k" * 50],
        "DATA_DIR": tmp_path,
        "EMBEDDED": False,
        "CELERY_BROKER_URL": "redis://redis:6379/0",
        "GESTION_IP": "10.0.0.5",
    }
    for name, value in values.items():
        setattr(settings, name, value)
    return settings


def test_good_settings_are_quiet(good):
    assert every_check() == []


def test_the_embedded_default_is_quiet(good):
    good.GESTION_URL = "http://127.0.0.1:8000/"
    good.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    good.TRUST_PROXY = False
    good.EMBEDDED = True
    good.CELERY_BROKER_URL = "filesystem://"
    good.GESTION_IP = ""
    assert every_check() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GESTION_URL", "gestion.example.org/", "gestion.E001"),
        ("GESTION_URL", "ftp://gestion.example.org/", "gestion.E001"),
        ("GESTION_URL", "https:///", "gestion.E001"),
        ("GESTION_URL", "https://bücher.example/", "gestion.E001"),
        ("GESTION_URL", "https://gestion.example.org'/", "gestion.E001"),
        ("GESTION_URL", "https://me:pw@gestion.example.org/", "gestion.E001"),
        ("GESTION_URL", "https://gestion.example.org/panel/", "gestion.E002"),
        ("ALLOWED_HOSTS", ["*"], "gestion.W003"),
        ("ALLOWED_HOSTS", ["other.example.org"], "gestion.E004"),
        ("ALLOWED_HOSTS", [], "gestion.E004"),
        ("ALLOW_PLAIN_HTTP_KEYS", True, "gestion.W007"),
        ("DEBUG", True, "gestion.E008"),
        ("SECRET_KEY", "short", "gestion.E009"),
        ("GESTION_ENCRYPTION_KEYS", ["k" * 50, ""], "gestion.E010"),
        ("GESTION_ENCRYPTION_KEYS", [], None),
        ("GESTION_ENCRYPTION_KEYS", ["k" * 50, "s" * 50], "gestion.W011"),
        ("CELERY_BROKER_URL", "filesystem://", "gestion.W014"),
        ("GESTION_IP", "the panel", "gestion.E015"),
        ("ALLOWED_HOSTS", [".example.org"], None),
        ("GESTION_IP", "2001:db8::1", None),
    ],
)
def test_each_fault_has_its_message(good, name, value, expected):
    setattr(good, name, value)
    assert every_check() == ([expected] if expected else [])


def test_plain_http_over_a_network_and_a_trusted_proxy_without_tls_are_warned_of(good):
    good.GESTION_URL = "http://gestion.example.org/"
    assert every_check() == ["gestion.W005", "gestion.W006"]


def test_a_folder_that_others_may_read_is_warned_of(good, tmp_path):
    good.EMBEDDED = True
    good.CELERY_BROKER_URL = "redis://redis:6379/0"
    tmp_path.chmod(0o755)
    assert every_check() == ["gestion.W013"]


def test_a_folder_that_is_not_there_is_an_error(good, tmp_path):
    good.DATA_DIR = tmp_path / "gone"
    assert every_check() == ["gestion.E012"]


@pytest.mark.parametrize("check", [checks.check_address, checks.check_transport, checks.check_secrets])
def test_every_message_says_what_to_set(good, check):
    good.GESTION_URL = "http://gestion.example.org/x/"
    good.ALLOWED_HOSTS = []
    good.SECRET_KEY = "x"
    good.GESTION_ENCRYPTION_KEYS = ["x"]
    found = check()
    assert found
    assert all(message.hint for message in found)
