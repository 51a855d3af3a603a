"""Randomly made fleets, and their key sets computed a second, naive way: by walking the rows."""

import base64
import hashlib
import random
import struct
from typing import cast

from accounts.models import User
from keymanager.models import Group, Key
from servers.models import PanelIdentity, Server, UnixUser


def ed25519_blob(seed: bytes) -> str:
    """The base64 of an Ed25519 public key whose 32 bytes come from the seed."""
    parts = [b"ssh-ed25519", hashlib.sha256(seed).digest()]
    return base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


def fingerprint_of(blob: str) -> str:
    """SHA256:… as ssh-keygen -l says it."""
    digest = hashlib.sha256(base64.b64decode(blob)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def make_key(
    owner: User | UnixUser, seed: str, *, options: str = "", comment: str = "", kind: str = "ssh-ed25519"
) -> Key:
    """A key of a person or a unix user."""
    blob = ed25519_blob(seed.encode())
    field = "person" if isinstance(owner, User) else "unix_user"
    return Key.objects.create(
        **{field: owner},
        type=kind,
        blob=blob,
        bits=256,
        options=options,
        comment=comment or seed,
        fingerprint=fingerprint_of(blob),
    )


def make_server(name: str, *users: str, km: str = "") -> Server:
    """A server with these unix users (root when none is named)."""
    server = Server.objects.create(name=name, keymanager_name=km or name)
    for user in users or ("root",):
        UnixUser.objects.create(server=server, name=user)
    return server


def unit(server: Server, name: str = "root") -> UnixUser:
    """A server's unix user."""
    return server.unix_users.get(name=name)


def random_fleet(seed: int) -> None:
    """A small fleet with every kind of row: shared names and keys, inactive people, the panel's key."""
    pick = random.Random(seed)
    if pick.random() < 0.7:
        PanelIdentity.objects.create(
            pk=1, private_key="x", public_key=f"ssh-ed25519 {ed25519_blob(b'panel')} gestion"
        )
    people = [
        User.objects.create(username=f"p{number}", is_active=pick.random() < 0.8) for number in range(6)
    ]
    servers = [
        make_server(
            f"s{number}",
            *pick.sample(["root", "deploy", "www"], pick.randint(1, 3)),
            km=f"k{pick.randint(0, 4)}",
        )
        for number in range(6)
    ]
    units = list(UnixUser.objects.all())
    for number in range(16):
        owner = cast("User | UnixUser", pick.choice([*people, *units]))
        seed_text = f"key{pick.randint(0, 11)}"  # some keys have several owners
        blob = ed25519_blob(seed_text.encode())
        same = Key.objects.filter(fingerprint=fingerprint_of(blob))
        mine = {"person__isnull": False} if isinstance(owner, User) else {"unix_user": owner}
        if not same.filter(**mine).exists():
            make_key(
                owner,
                seed_text,
                options=pick.choice(["", "", "no-pty", 'from="192.0.2.1"']),
                comment=f"c{number}",
            )
    for server in servers:
        server.owners.set(pick.sample(people, pick.randint(0, 2)))
    for number in range(4):
        group = Group.objects.create(name=f"g{number}", includes_panel=pick.random() < 0.3)
        group.member_users.set(pick.sample(people, pick.randint(0, 3)))
        group.member_servers.set(pick.sample(servers, pick.randint(0, 2)))
        group.member_keys.set(
            pick.sample(list(Key.objects.filter(person=None)), 0 if pick.random() < 0.5 else 1)
        )
        group.allowed_servers.set(pick.sample(servers, pick.randint(0, 3)))
        group.allowed_unix_users.set(pick.sample(units, pick.randint(0, 2)))


def naive_key_sets() -> dict[str, dict[str, list[str]]]:
    """Every key set of the fleet, as lines of text: the rules read aloud, without a thought for speed."""
    answers: dict[str, dict[str, list[str]]] = {}
    for server in Server.objects.all():
        answers.setdefault(server.keymanager_name, {})
    for unix_user in UnixUser.objects.all():
        name = unix_user.server.keymanager_name
        same = UnixUser.objects.filter(name=unix_user.name, server__keymanager_name=name)
        found = [key for each in same for key in _naive_set(each)]
        best: dict[str, tuple[bool, int, str, str, str]] = {}
        for fingerprint, options, text, comment in found:
            rank = ('from="' not in options, -len(options), options, comment, text)
            best[fingerprint] = min(best.get(fingerprint, rank), rank)
        answers[name][unix_user.name] = [best[fingerprint][-1] for fingerprint in sorted(best)]
    return answers


def _naive_set(unix_user: UnixUser) -> list[tuple[str, str, str, str]]:
    keys: list[Key] = [
        key for owner in unix_user.server.owners.filter(is_active=True) for key in owner.ssh_keys.all()
    ]
    panel = []
    for group in Group.objects.all():
        if (
            unix_user.server not in group.allowed_servers.all()
            and unix_user not in group.allowed_unix_users.all()
        ):
            continue
        for person in group.member_users.filter(is_active=True):
            keys += person.ssh_keys.all()
        for server in group.member_servers.all():
            keys += Key.objects.filter(unix_user__server=server)
        keys += group.member_keys.all()
        if group.includes_panel:
            panel += [identity.public_key for identity in PanelIdentity.objects.all()]
    lines = [(fingerprint_of(text.split()[1]), "", text, text.split()[2]) for text in panel]
    return lines + [(key.fingerprint, key.options, key.line, key.comment) for key in keys]
