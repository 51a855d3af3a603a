"""Whether a call is from who it says: the signatures of the git hosts, and our own.

| sender | header | proves |
|---|---|---|
| GitHub | `X-Hub-Signature-256: sha256=HEX` | HMAC-SHA256 of the body |
| Gitea, Forgejo | `X-Gitea-Signature: HEX`, `X-Forgejo-Signature: HEX` | the same |
| GitLab | `X-Gitlab-Token` | the secret itself |
| anything else | `X-Gestion-Timestamp`, `X-Gestion-Signature: sha256=HEX` | HMAC-SHA256 of timestamp, full stop, body |
"""

import hmac
import time
from collections.abc import Mapping

from accounts.shared_secrets import signature

WINDOW = 300  # seconds by which a timestamp may differ from our clock


class Refused(Exception):  # noqa: N818  # a refusal; its text goes into our log, not to the caller
    """The call does not prove that its sender knows the secret."""


def sender_of(headers: Mapping[str, str], body: bytes, secret: str) -> str:
    """Who sent it. Raises Refused for what is unsigned, wrongly signed, or too old.

    The first header that is there decides: a second, weaker one cannot help a call whose signature is wrong.
    """
    if not secret:
        raise Refused("there is no secret to check it by")
    for header, sender in (
        ("X-Gestion-Signature", "gestion"),
        ("X-Forgejo-Signature", "forgejo"),
        ("X-Gitea-Signature", "gitea"),
        ("X-Hub-Signature-256", "github"),
        ("X-Gitlab-Token", "gitlab"),
    ):
        given = headers.get(header)
        if given is not None:
            _check(sender, given, headers, body, secret)
            return sender
    raise Refused("it is not signed")


def _check(sender: str, given: str, headers: Mapping[str, str], body: bytes, secret: str) -> None:
    if sender == "gitlab":
        expected = secret
    elif sender == "gestion":
        expected = "sha256=" + signature(secret, body, _fresh(headers))
    else:
        expected = ("sha256=" if sender == "github" else "") + signature(secret, body)
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Refused(f"the signature of {sender} is wrong")


def _fresh(headers: Mapping[str, str]) -> str:
    stamp = headers.get("X-Gestion-Timestamp", "")
    if not (stamp.isascii() and stamp.isdecimal()) or abs(time.time() - int(stamp[:15])) > WINDOW:
        raise Refused("its timestamp is missing or too far from now")
    return stamp
