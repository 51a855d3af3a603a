"""Wrong settings are told at the start."""

import pytest

from samba.checks import check_samba


def ids() -> set[str]:
    return {str(found.id) for found in check_samba()}


@pytest.mark.parametrize("prefix", ["", "-x", "1x", "a b", "a\n", "%u", "x" * 17, "@a"])
def test_a_prefix_that_cannot_begin_a_user(settings, prefix):
    settings.SAMBA_USER_PREFIX = prefix
    assert "samba.E001" in ids()


def test_a_short_secret_and_one_that_has_another_purpose(settings):
    assert not ids()
    settings.SAMBA_SECRET_KEY = "short"
    assert "samba.W002" in ids()
    settings.SAMBA_SECRET_KEY = settings.SECRET_KEY
    assert "samba.W003" in ids()
