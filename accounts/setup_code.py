"""The set-up code: whoever makes the first account must have access to the machine, not only to the page.

It is derived from SECRET_KEY, so that every process of the panel agrees on it and no file holds it.
It counts only while there is no account at all.
"""

import base64

from django.utils.crypto import constant_time_compare, salted_hmac


def setup_code() -> str:
    """Four groups of four letters and digits: 80 bits."""
    digest = salted_hmac("gestion.setup-code", "first account", algorithm="sha256").digest()
    text = base64.b32encode(digest[:10]).decode()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def is_setup_code(typed: str) -> bool:
    """Whether it is the code; case, spaces and hyphens do not matter."""
    plain = "".join(char for char in typed.upper() if char.isalnum())
    return constant_time_compare(plain, setup_code().replace("-", ""))
