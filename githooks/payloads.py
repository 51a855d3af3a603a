"""What a proven call tells, in the words of each git host: a push of which branches, a ping, or something else.

Sources: what GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket Cloud and Data Center say of their web hooks.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

EVENTS = (
    "GitHub-Event",
    "Forgejo-Event",
    "Gitea-Event",
    "Gogs-Event",
    "Gitlab-Event",
    "Event-Key",
    "Gestion-Event",
)
PINGS = {"ping", "Ping Hook", "diagnostics:ping"}
PUSHES = {"push", "Push Hook", "repo:push", "repo:refs_changed"}
FORM = "application/x-www-form-urlencoded"
NOTHING = "only pushes to the expected branch count"
GONE = "the branch was deleted, so there is nothing to pull"
OF_ALL = "a system hook tells of every project: set the hook up in the project itself"


class Unreadable(Exception):  # noqa: N818  # a refusal
    """The body is no JSON object."""


@dataclass(frozen=True)
class Told:
    """What a call tells. `refs` are those that have a new commit; `why_not`: what to answer if it starts nothing."""

    event: str  # "push", "ping" or "other"
    refs: tuple[str, ...] = ()
    why_not: str = NOTHING


def read(headers: Mapping[str, str], body: bytes) -> Told:
    """Read it. Raises Unreadable."""
    payload = _object_in(headers, body)
    given = _event(headers)
    if given == "System Hook":
        return Told("other", why_not=OF_ALL)
    if given not in PUSHES:
        return Told("ping" if given in PINGS else "other")
    moved = list(_moved(payload))
    refs = tuple(ref for ref, there in moved if there and ref.isprintable())
    gone = bool(moved) and not any(there for _ref, there in moved)
    return Told("push", refs, GONE if gone else NOTHING)


def is_ping(headers: Mapping[str, str]) -> bool:
    """Whether a call says of itself that it is only a test of the connection."""
    return _event(headers) in PINGS


def _event(headers: Mapping[str, str]) -> str:
    return next((headers[f"X-{name}"] for name in EVENTS if headers.get(f"X-{name}")), "push")


def _object_in(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The JSON object that the body is, or that a form's field `payload` holds, as GitHub sends it if asked to."""
    try:
        found = json.loads(payload_of_form(headers, body) if _is_form(headers) else body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object")
    return found


def payload_of_form(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON in a form's field `payload`; nothing where the body is no form, or has no such field."""
    if not _is_form(headers):
        return b""
    try:
        return parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0].encode()
    except ValueError:
        return b""


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Type", "").split(";")[0].strip().lower() == FORM


def _moved(payload: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each ref that was pushed, and whether it is there afterwards."""
    push = payload.get("push")
    if isinstance(push, dict):  # Bitbucket Cloud
        for change in _objects(push.get("changes")):
            branch = change.get("new") or change.get("old")
            if isinstance(branch, dict) and branch.get("type") == "branch":
                yield f"refs/heads/{branch.get('name')}", bool(change.get("new"))
    elif "changes" in payload and "ref" not in payload:  # Bitbucket Data Center
        for change in _objects(payload["changes"]):
            yield str(change.get("refId") or ""), change.get("type") != "DELETE"
    elif isinstance(ref := payload.get("ref"), str):
        after = str(payload.get("after") or "1")
        yield ref, payload.get("deleted") is not True and after.strip("0") != ""


def _objects(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
