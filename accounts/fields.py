"""Secrets at rest: a text field that the database holds only encrypted."""

import base64
import hashlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.strip().encode()).digest())) for key in keys]
    )


class EncryptedTextField(models.TextField):
    """Text, encrypted with the first of GESTION_ENCRYPTION_KEYS; any of them decrypts. Not for lookups."""

    def get_prep_value(self, value: Any) -> Any:
        """The ciphertext that is stored; empty stays empty."""
        if not value:
            return value
        return _cipher(tuple(settings.GESTION_ENCRYPTION_KEYS)).encrypt(str(value).encode()).decode()

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str | None:
        """The text; raises ImproperlyConfigured when no key fits."""
        if not value:
            return value
        try:
            return _cipher(tuple(settings.GESTION_ENCRYPTION_KEYS)).decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise ImproperlyConfigured(
                "A secret in the database does not fit any of GESTION_ENCRYPTION_KEYS. "
                "Put the key that wrote it back into that setting (several are separated by commas)."
            ) from error
