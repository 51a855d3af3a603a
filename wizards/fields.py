"""JSON at rest that the database holds only encrypted."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from accounts.fields import EncryptedTextField


class EncryptedJSONField(EncryptedTextField):
    """A dict or list, encrypted whole. Not for lookups; empty values stay empty."""

    _pyi_private_set_type: Any  # for the type checker
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        """The ciphertext that is stored."""
        return super().get_prep_value(json.dumps(value, cls=DjangoJSONEncoder) if value else "")

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """The value; an empty dict where nothing is stored."""
        text = super().from_db_value(value, expression, connection)
        return json.loads(text) if text else {}
