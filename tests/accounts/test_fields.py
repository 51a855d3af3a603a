"""Secrets at rest."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from accounts.fields import EncryptedTextField

field = EncryptedTextField()
KEYS = ["first key, long enough to be one", "second key, long enough to be one"]


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_what_is_stored_reads_back_and_shows_nothing(text):
    stored = field.get_prep_value(text)
    assert field.from_db_value(stored, None, None) == text
    assert len(text) < 4 or text not in stored


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_stays_empty(nothing):
    assert field.get_prep_value(nothing) == nothing
    assert field.from_db_value(nothing, None, None) == nothing


def test_an_older_key_still_reads_and_the_first_writes(settings):
    settings.GESTION_ENCRYPTION_KEYS = KEYS[:1]
    old = field.get_prep_value("secret")
    settings.GESTION_ENCRYPTION_KEYS = [KEYS[1], KEYS[0]]
    assert field.from_db_value(old, None, None) == "secret"
    new = field.get_prep_value("secret")
    settings.GESTION_ENCRYPTION_KEYS = KEYS[1:]
    assert field.from_db_value(new, None, None) == "secret"
    with pytest.raises(ImproperlyConfigured, match="GESTION_ENCRYPTION_KEYS"):
        field.from_db_value(old, None, None)
