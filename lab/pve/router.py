"""From a request to its answer, in Proxmox's order: who asks, which call, may they, is it right, do it."""

import functools
import re
from typing import Any

from .access import Identity
from .calls import CALLS
from .cluster import Cluster, Request
from .errors import ApiError, BadParameters, Forbidden
from .privileges import Rights
from .schema import Schema

Json = dict[str, Any]
DUPLICATE = "duplicate parameter (already defined in URI) with conflicting values!"


def respond(
    cluster: Cluster, node: str, method: str, path: str, *, headers: dict[str, str], given: Json
) -> tuple[Any, Json]:
    """Return what a call answers, and what else stands beside it. Header names are lower-case.

    Raises ApiError.
    """
    who = Identity("") if open_to_all(path, headers) else cluster.access.identify(method, headers)
    cluster.refresh()
    cluster.lock_guests()
    call, in_path = _find(cluster.schema, method, path)
    said = cluster.schema.calls[call]
    if said.get("no_token") and who.token:
        raise Forbidden(f"URI '{path}' not available with API token, need proper ticket.\n")
    clash = {name: DUPLICATE for name, value in in_path.items() if str(given.get(name, value)) != value}
    if clash:
        raise BadParameters(clash)
    params = {**given, **in_path}
    require(cluster.rights, who, said["may"], params)
    if said.get("proxy") and params["node"] != node:
        _require_up(cluster, params["node"])
    request = Request(cluster, node, who, cluster.schema.check(call, params))
    if "vmid" in request.params and "{vmid}" in call:
        request.params["vmid"] = int(request.params["vmid"])
    return CALLS[call](request), request.extra


def open_to_all(path: str, headers: dict[str, str]) -> bool:
    """Return whether a call wants nobody to be known: the one that lets somebody in."""
    return path == "/access/ticket" and "authorization" not in headers


def require(rights: Rights, who: Identity, rule: Any, params: Json) -> None:
    """Raise Forbidden unless `who` passes the schema's rule."""
    if rule in ("all", "world") or who.id == "root@pam":
        return
    if rule == "root":
        raise Forbidden("user != root@pam")
    kind, *parts = rule
    if kind == "and":
        for part in parts:
            require(rights, who, part, params)
    elif kind == "or":
        if not any(_passes(rights, who, part, params) for part in parts):
            raise Forbidden
    elif kind == "perm":
        _require_privileges(rights, who, parts, params)
    else:
        _require_over_people(rights, who, kind, parts[0], params)


def _passes(rights: Rights, who: Identity, rule: Any, params: Json) -> bool:
    try:
        require(rights, who, rule, params)
    except Forbidden:
        return False
    return True


def _require_privileges(rights: Rights, who: Identity, parts: list[Any], params: Json) -> None:
    path, privileges, *options = parts
    chosen = dict(zip(options[::2], options[1::2], strict=True))
    if chosen.get("require_param") and chosen["require_param"] not in params:
        raise Forbidden
    rights.require(who.id, _filled(path, params), privileges, any_of=bool(chosen.get("any")))


def _require_over_people(rights: Rights, who: Identity, kind: str, rule: Any, params: Json) -> None:
    person = str(params.get("userid", ""))
    if kind == "perm-modify":
        rights.require(who.id, _filled(rule, params), ["Permissions.Modify"])
    elif kind == "userid-group":
        rights.require(who.id, "/access/groups", rule)
    elif rule != "self":
        rights.require(who.id, f"/access/realm/{person.rpartition('@')[2]}", [rule])
    elif who.id != person:
        raise Forbidden


def _filled(path: str, params: Json) -> str:
    return re.sub(r"\{([^}]+)\}", lambda match: str(params.get(match[1], "")), path)


def _require_up(cluster: Cluster, name: str) -> None:
    node = cluster.world.node(name)
    if node.refuses:
        raise ApiError(node.refuses, 595)


def _find(schema: Schema, method: str, path: str) -> tuple[str, dict[str, str]]:
    parts = [part for part in path.split("/") if part]  # slashes too many are none
    for call, pattern in _patterns(schema):
        match = pattern.fullmatch(f"{method} /{'/'.join(parts)}")
        if match:
            return call, match.groupdict()
    raise ApiError(f"Method '{method} {path}' not implemented", 501)


@functools.cache
def _patterns(schema: Schema) -> list[tuple[str, re.Pattern[str]]]:
    """Return the calls of a version that we answer, those with a fixed last word first."""
    found = []
    for call in sorted((call for call in CALLS if call in schema.calls), key=lambda call: call.endswith("}")):
        part = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", call.replace("{volume}", "(?P<volume>.+)"))
        found.append((call, re.compile(part)))
    return found
