"""Secrets that the panel shares with another program: to be signed with, and to know that program by its signature."""

import hashlib
import hmac
import secrets


def fresh_secret() -> str:
    """A secret to sign with: 256 random bits as text."""
    return secrets.token_urlsafe(32)


def signature(secret: str, body: bytes, at: str = "") -> str:
    """The hexadecimal HMAC-SHA256 of a body; with `at`, of this timestamp, a full stop and the body."""
    stamp = f"{at}.".encode() if at else b""
    return hmac.new(secret.encode(), stamp + body, hashlib.sha256).hexdigest()
