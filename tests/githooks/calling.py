"""Calls of the endpoint as each git host makes them, and a look whether anything came of one."""

import base64
import hashlib
import hmac
import json
import time

from django.test import Client

from accounts.models import AuditEntry
from githooks.models import Call
from githooks.signatures import Refused, signing_token
from jobs.models import Job
from tests.jobs.working import work_off

URL = "/git_hook/scripts/"


def body_of(ref: str = "refs/heads/main", **more: object) -> bytes:
    return json.dumps({"ref": ref, **more}).encode()


def mac(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={mac(secret, body)}", "X-GitHub-Event": "push"}


def gitea(secret: str, body: bytes) -> dict[str, str]:
    # As Gitea sends it, which adds GitHub's headers to its own.
    return {"X-Gitea-Signature": mac(secret, body), "X-Gitea-Event": "push", **github(secret, body)}


def forgejo(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Forgejo-Signature": mac(secret, body), "X-Forgejo-Event": "push", **gitea(secret, body)}


def gogs(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Gogs-Signature": mac(secret, body), "X-Gogs-Event": "push"}


def bitbucket(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature": f"sha256={mac(secret, body)}", "X-Event-Key": "repo:refs_changed"}


def gitlab_signed(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """As GitLab signs by the token that the panel shows."""
    stamp = str(int(time.time() if at is None else at))
    try:
        key = base64.b64decode(signing_token(secret).removeprefix("whsec_"))
    except Refused:
        key = secret.encode()
    digest = hmac.new(key, f"id1.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "id1",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1,bm90IHRoaXM= v1," + base64.b64encode(digest).decode(),
        "X-Gitlab-Event": "Push Hook",
    }


def gitlab(secret: str, _body: bytes) -> dict[str, str]:
    return {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Push Hook"}


def plain(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    return {
        "X-Gestion-Timestamp": stamp,
        "X-Gestion-Signature": "sha256=" + mac(secret, f"{stamp}.".encode() + body),
    }


SENDERS = [github, gitea, forgejo, gogs, bitbucket, gitlab, gitlab_signed, plain]


def call(body: bytes, headers: dict[str, str], url: str = URL):
    return Client(enforce_csrf_checks=True).post(url, body, content_type="application/json", headers=headers)


def nothing_happened(origin, before: str) -> None:
    work_off()
    assert not Job.objects.exists()
    assert not Call.objects.exists()
    assert not AuditEntry.objects.exists()
    assert origin.pulled == before
