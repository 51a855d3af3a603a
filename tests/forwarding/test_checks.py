"""What a wrong setting of this room says."""

import pytest

from forwarding.checks import check_acme


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ACME_DIRECTORY", "http://acme.example.org/dir", ["forwarding.E001"]),
        ("ACME_DIRECTORY", "acme.example.org", ["forwarding.E001"]),
        ("ACME_DIRECTORY", "https://acme.example.org/dir", []),
        ("ACME_CA_FILE", "/nowhere/root.pem", ["forwarding.E002"]),
        ("ACME_CA_FILE", __file__, []),
        ("ACME_EMAIL", "ada", ["forwarding.E003"]),
        ("ACME_EMAIL", "ada@example.org", []),
    ],
)
def test_each_fault_has_its_message(settings, name, value, expected):
    setattr(settings, name, value)
    found = check_acme()
    assert [message.id for message in found] == expected
    assert all(message.hint for message in found)
