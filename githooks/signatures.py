"""Whether a call is from who it says: the signatures of the git hosts, and our own.

| sender | header | proves |
|---|---|---|
| GitHub | `X-Hub-Signature-256: sha256=HEX` | HMAC-SHA256 of the body |
| Bitbucket Cloud, Data Center | `X-Hub-Signature: sha256=HEX` | the same |
| Gitea, Forgejo, Gogs | `X-Gitea-Signature: HEX`, `X-Forgejo-Signature: HEX`, `X-Gogs-Signature: HEX` | the same (1) |
| GitLab, signing token | `webhook-signature: v1,BASE64` (Standard Webhooks) | HMAC-SHA256 of id, timestamp and body |
| GitLab, secret token | `X-Gitlab-Token` | the secret itself |
| anything else | `X-Gestion-Timestamp`, `X-Gestion-Signature: sha256=HEX` | HMAC-SHA256 of timestamp, full stop, body |

(1) Of a form: of its field `payload`.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

from accounts.shared_secrets import signature
from githooks.payloads import payload_of_form
from hosts.bounds import MIB

WINDOW = 300  # seconds by which a timestamp may differ from our clock
STANDARD = "Webhook-Signature"
SENDERS = (
    ("X-Gestion-Signature", "gestion"),
    ("X-Forgejo-Signature", "forgejo"),
    ("X-Gitea-Signature", "gitea"),
    ("X-Gogs-Signature", "gogs"),
    ("X-Hub-Signature-256", "github"),
    ("X-Hub-Signature", "bitbucket"),  # GitHub's own of this name is an older one, beside the one above
    (STANDARD, "gitlab"),
    ("X-Gitlab-Token", "gitlab"),
)
AS_THEY_ARE = {STANDARD, "X-Gitlab-Token"}  # all others are in hexadecimal digits, which have no case
# Of a form these sign the JSON that is in it, and not what is sent (Gitea's services/webhook/deliver.go).
OF_WHAT_IS_IN_IT = {"X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"}
MOST_FORM = 2 * MIB  # it is read before anything is proved; theirs name a few commits
WITH_ALGORITHM = {"X-Hub-Signature-256", "X-Hub-Signature"}


class Refused(Exception):  # noqa: N818  # a refusal; its text goes into our log, not to the caller
    """The call does not prove that its sender knows the secret."""


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether there is a signature to check; without one its body need not be read."""
    return any(headers.get(header) is not None for header, _sender in SENDERS)


def sender_of(headers: Mapping[str, str], body: bytes, secret: str) -> str:
    """Who sent it. Raises Refused for what is unsigned, wrongly signed, or too old.

    The first header that is there decides: a second, weaker one cannot help a call whose signature is wrong.
    """
    if not secret:
        raise Refused("there is no secret to check it by")
    for header, sender in SENDERS:
        given = headers.get(header)
        if given is not None:
            signed = _signed_part(header, headers, body)
            expected = _expected(header, headers, signed, secret)
            # Standard Webhooks sends several while a key is being changed; one is enough.
            texts = given.split(" ")[:10] if header == STANDARD else [given]
            if header not in AS_THEY_ARE:
                texts = [text.lower() for text in texts]
            if not any(hmac.compare_digest(text.encode(), expected.encode()) for text in texts):
                raise Refused(f"the signature of {sender} is wrong")
            return sender
    raise Refused("it is not signed")


def _signed_part(header: str, headers: Mapping[str, str], body: bytes) -> bytes:
    if header in OF_WHAT_IS_IN_IT and len(body) <= MOST_FORM:
        return payload_of_form(headers, body) or body
    return body


def _expected(header: str, headers: Mapping[str, str], body: bytes, secret: str) -> str:
    if header == "X-Gitlab-Token":
        return secret
    if header == STANDARD:
        return "v1," + _standard(headers, body, secret)
    if header == "X-Gestion-Signature":
        return "sha256=" + signature(secret, body, _fresh(headers, "X-Gestion-Timestamp"))
    return ("sha256=" if header in WITH_ALGORITHM else "") + signature(secret, body)


def signing_token(secret: str) -> str:
    """The secret as GitLab wants its signing token: `whsec_` and the base64 of its 32 bytes. Raises Refused."""
    return "whsec_" + base64.b64encode(_key(secret)).decode()


def _standard(headers: Mapping[str, str], body: bytes, secret: str) -> str:
    """Source: the Standard Webhooks specification, by which GitLab signs."""
    stamp = _fresh(headers, "Webhook-Timestamp")
    signed = f"{headers.get('Webhook-Id', '')}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (binascii.Error, ValueError) as error:
        raise Refused("the secret is none that can be a signing token") from error


def _fresh(headers: Mapping[str, str], name: str) -> str:
    stamp = headers.get(name, "")
    if not (stamp.isascii() and stamp.isdecimal()) or abs(time.time() - int(stamp[:15])) > WINDOW:
        raise Refused("its timestamp is missing or too far from now")
    return stamp
