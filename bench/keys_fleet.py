"""A large, believable fleet for bench/keys.py, written with as few statements as will do."""

import base64
import hashlib
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Model

from accounts.models import User
from keymanager.models import FetchToken, Group, Key
from keymanager.tokens import digest_of
from servers.models import Server, UnixUser

UNIX_USERS = ("root", "deploy", "www-data", "backup", "monitor")
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Size:
    """How many of everything."""

    servers: int = 10_000
    people: int = 1_000
    keys_each: int = 2
    groups: int = 300


def token_of(number: int) -> str:
    """The token of server number `number`."""
    return f"gsk_{hashlib.sha256(b'bench %d' % number).hexdigest()}"


def name_of(number: int) -> str:
    """The name of server number `number`."""
    return f"s{number:05}.example.org"


@transaction.atomic
def build(size: Size) -> None:
    """Fill an empty database.

    Groups are teams of 5 to 30 people, each allowed on whole servers of its own and on single unix users of
    others; a server has its owner and about three teams. One group has everybody in it and is allowed as one
    unix user on a hundredth of the servers (the jump hosts).
    """
    pick = random.Random(42)
    people = User.objects.bulk_create([User(username=f"p{number:04}") for number in range(size.people)])
    Key.objects.bulk_create([_key(person, n) for person in people for n in range(size.keys_each)])
    servers = Server.objects.bulk_create(
        [Server(name=name_of(n), keymanager_name=name_of(n)) for n in range(size.servers)]
    )
    users = UnixUser.objects.bulk_create(
        [UnixUser(server=server, name=name) for server in servers for name in UNIX_USERS]
    )
    tokens = [token_of(number) for number in range(size.servers)]
    FetchToken.objects.bulk_create(
        [
            FetchToken(server=server, secret=token, digest=digest_of(token))
            for server, token in zip(servers, tokens, strict=True)
        ]
    )
    groups = Group.objects.bulk_create(
        [Group(name=EVERYBODY), *(Group(name=f"team {n:03}") for n in range(1, size.groups))]
    )
    everybody, teams = groups[0], groups[1:]
    _link(Group.member_users, "user", [(everybody, person) for person in people])
    _link(
        Group.member_users,
        "user",
        [(team, person) for team in teams for person in pick.sample(people, pick.randint(5, 30))],
    )
    _link(
        Group.allowed_servers,
        "server",
        [(team, server) for server in servers for team in pick.sample(teams, 2)],
    )
    _link(
        Group.allowed_unix_users,
        "unixuser",
        [(pick.choice(teams), user) for user in users[:: len(UNIX_USERS)]]
        + [(everybody, users[n * len(UNIX_USERS) + 1]) for n in range(0, size.servers, 100)],
    )
    through = Server.owners.through
    through.objects.bulk_create(
        [through(server_id=server.pk, user_id=pick.choice(people).pk) for server in servers]
    )


def _link(field: Any, target: str, pairs: Sequence[tuple[Group, Model]]) -> None:
    through = field.through
    through.objects.bulk_create(
        [through(**{"group_id": group.pk, f"{target}_id": other.pk}) for group, other in pairs]
    )


def _key(person: User, number: int) -> Key:
    public = hashlib.sha256(f"{person.username} {number}".encode()).digest()
    raw = b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", public))
    fingerprint = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    return Key(
        person=person,
        type="ssh-ed25519",
        blob=base64.b64encode(raw).decode(),
        bits=256,
        comment=f"{person.username}@laptop{number}",
        fingerprint=f"SHA256:{fingerprint}",
    )


def newcomer() -> User:
    """A person with one key who is in no group yet."""
    person = User.objects.create(username=f"new{User.objects.count()}")
    _key(person, 0).save()
    return person
