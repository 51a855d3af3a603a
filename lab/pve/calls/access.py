"""Logging in, users, tokens, roles and the ACL."""

import re
import uuid
from typing import Any

from lab.pve.cluster import Request
from lab.pve.errors import ApiError, BadParameters, Forbidden, died
from lab.pve.formats import split_list
from lab.pve.privileges import all_privileges
from lab.pve.world import Grant, Token, User

from .registry import answers

Json = dict[str, Any]
ACL_PATHS = (
    "/|/access(/groups(/[^/]+)?|/realm(/[^/]+)?)?|/(nodes|pool|storage|vms)(/.+)?|/(sdn|mapping)(/.+)?"
)


@answers("GET /access/ticket")
def ticket_page(request: Request) -> None:
    """Nothing; a form's target has to exist."""


@answers("POST /access/ticket")
def login(request: Request) -> Json:
    """Give a ticket for a password."""
    params = request.params
    name = params["username"]
    if "realm" in params and "@" not in name:
        name = f"{name}@{params['realm']}"
    ticket, csrf = request.cluster.access.login(name, params["password"])
    found: Json = {"username": name, "ticket": ticket, "CSRFPreventionToken": csrf}
    return {**found, "clustername": request.world.cluster, "cap": request.cluster.rights.capabilities(name)}


@answers("GET /access/permissions")
def permissions(request: Request) -> Json:
    """List what one may do, or somebody else if one may know that."""
    who = request.params.get("userid") or request.who.id
    own = who == request.who.id or who.startswith(request.who.id + "!")
    if not own and not request.may("/access", "Sys.Audit"):
        raise Forbidden("/access, Sys.Audit")
    if path := request.params.get("path"):
        return {path: dict.fromkeys(sorted(request.cluster.rights.of(who, path)), 1)}
    return request.cluster.rights.table(who)


@answers("GET /access/users")
def users(request: Request) -> list[Json]:
    """List the users, or only oneself."""
    every = request.may("/access/groups", "User.Modify", "Sys.Audit", any_of=True)
    return [
        _describe_user(user) for user in request.world.users.values() if every or user.id == request.who.user
    ]


@answers("GET /access/users/{userid}")
def user(request: Request) -> Json:
    """Tell of one user."""
    found = _user(request)
    return {**_describe_user(found), "tokens": {t.name: _describe_token(t) for t in found.tokens.values()}}


@answers("POST /access/users")
def add_user(request: Request) -> None:
    """Make a user."""
    name = request.params["userid"]
    with request.world.lock:
        if name in request.world.users:
            raise died(f"create user failed: user '{name}' already exists")
        enabled = bool(request.params.get("enable", 1))
        request.world.users[name] = User(name, request.params.get("password"), enabled)
    request.cluster.save()


@answers("DELETE /access/users/{userid}")
def delete_user(request: Request) -> None:
    """Delete a user with tokens and rights."""
    name = _user(request).id
    with request.world.lock:
        del request.world.users[name]
        request.world.acl = [grant for grant in request.world.acl if grant.who.partition("!")[0] != name]
    request.cluster.save()


@answers("GET /access/users/{userid}/token")
def tokens(request: Request) -> list[Json]:
    """List a user's tokens, without secrets."""
    return [{"tokenid": token.name, **_describe_token(token)} for token in _user(request).tokens.values()]


@answers("GET /access/users/{userid}/token/{tokenid}")
def token(request: Request) -> Json:
    """Tell of one token."""
    return _describe_token(_token(request))


@answers("POST /access/users/{userid}/token/{tokenid}")
def add_token(request: Request) -> Json:
    """Make a token; its secret is told this once."""
    user, name = _user(request), request.params["tokenid"]
    if name in user.tokens:
        raise BadParameters({"tokenid": "Token already exists."})
    made = Token(name, str(uuid.uuid4()), bool(request.params.get("privsep", 1)))
    made.expire, made.comment = request.params.get("expire", 0), request.params.get("comment", "")
    user.tokens[name] = made
    request.cluster.save()
    return {"full-tokenid": f"{user.id}!{name}", "value": made.secret, "info": _describe_token(made)}


@answers("DELETE /access/users/{userid}/token/{tokenid}")
def delete_token(request: Request) -> None:
    """Delete a token."""
    del _user(request).tokens[_token(request).name]
    request.cluster.save()


@answers("GET /access/roles")
def roles(request: Request) -> list[Json]:
    """List the roles with their privileges."""
    own = request.world.roles
    return [
        {"roleid": name, "privs": ",".join(sorted(privileges)), "special": int(name not in own)}
        for name, privileges in request.cluster.rights.roles().items()
    ]


@answers("POST /access/roles")
def add_role(request: Request) -> None:
    """Make a role."""
    name, privileges = request.params["roleid"], _privileges(request)
    if name in request.cluster.rights.roles():
        raise died(f"create role failed: role '{name}' already exists")
    request.world.roles[name] = privileges
    request.cluster.save()


@answers("PUT /access/roles/{roleid}")
def change_role(request: Request) -> None:
    """Give a role other privileges, or more."""
    name, privileges = request.params["roleid"], _privileges(request)
    if name not in request.world.roles:
        raise died(f"update role failed: role '{name}' does not exist")
    before = request.world.roles[name] if request.params.get("append") else set()
    request.world.roles[name] = before | privileges
    request.cluster.save()


@answers("GET /access/acl")
def acl(request: Request) -> list[Json]:
    """List who has which role where."""
    if not request.may("/access", "Sys.Audit", "Permissions.Modify", any_of=True):
        return []
    return [
        {
            "path": grant.path,
            "ugid": grant.who,
            "roleid": grant.role,
            "propagate": int(grant.propagate),
            "type": "token" if "!" in grant.who else "user",
        }
        for grant in request.world.acl
    ]


@answers("PUT /access/acl")
def change_acl(request: Request) -> None:
    """Give roles to users and tokens on a path, or take them."""
    params, world, path = request.params, request.world, _acl_path(request)
    people = split_list(params.get("users", "")) + split_list(params.get("tokens", ""))
    for name in split_list(params["roles"]):
        if name not in request.cluster.rights.roles():
            raise BadParameters({"roles": f"role '{name}' does not exist"})
        for who in people:
            if who.partition("!")[0] not in world.users:
                raise ApiError(f"no such user ('{who}')\n", 500)
            same = [grant for grant in world.acl if (grant.path, grant.who, grant.role) == (path, who, name)]
            world.acl = [grant for grant in world.acl if grant not in same]
            if not params.get("delete"):
                world.acl.append(Grant(path, who, name, bool(params.get("propagate", 1))))
    request.cluster.save()


def _privileges(request: Request) -> set[str]:
    """Those that a role is to have. Raises BadParameters for one that this version has not."""
    wanted = split_list(request.params.get("privs", ""))
    for name in wanted:
        if name not in all_privileges(request.world.major()):
            raise BadParameters({"privs": f"invalid format - invalid privilege '{name}'\n"})
    return set(wanted)


def _acl_path(request: Request) -> str:
    """The path as Proxmox keeps it. Raises BadParameters for one that leads to nothing of Proxmox's."""
    path = "/" + "/".join(part for part in request.params["path"].split("/") if part)
    known = re.fullmatch(ACL_PATHS, path)
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", path) or not (known or request.params.get("delete")):
        raise BadParameters({"path": f"invalid ACL path '{request.params['path']}'"})
    return path


def _user(request: Request) -> User:
    found = request.world.users.get(request.params["userid"])
    if not found:
        raise died(f"no such user ('{request.params['userid']}')")
    return found


def _token(request: Request) -> Token:
    found = _user(request).tokens.get(request.params["tokenid"])
    if not found:
        raise died(f"no such token '{request.params['tokenid']}' for user '{request.params['userid']}'")
    return found


def _describe_user(user: User) -> Json:
    kind = user.id.rpartition("@")[2]
    return {"userid": user.id, "enable": int(user.enabled), "expire": 0, "realm-type": kind}


def _describe_token(token: Token) -> Json:
    found: Json = {"expire": token.expire, "privsep": int(token.privsep)}
    return {**found, **({"comment": token.comment} if token.comment else {})}
