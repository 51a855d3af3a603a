"""Playing recorded requests against a server of ours, and comparing what comes back.

The recordings lie beside the checkout (`../shared/pve`), not in it; where they are not, their tests skip.
"""

import http.client
import json
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.pve import PveServer

CHECKOUT = Path(__file__).parents[3]
PLACES = [Path(os.environ["PVE_RECORDINGS"])] if "PVE_RECORDINGS" in os.environ else []
PLACES += [CHECKOUT.parent / "shared/pve", CHECKOUT.parents[1] / "shared/pve"]
VOLATILE = {"pid", "uptime", "pstart", "starttime", "endtime", "ctime", "digest", "upid", "ticket", "disk"}
VOLATILE |= {"CSRFPreventionToken", "avail", "used", "used_fraction"}
SETS = {"content"}
IDENTITY = ("vmid", "id", "storage", "key", "volid", "upid", "name", "n")
PATHS = (("/srv/pve-lab/src/pve-storage/src", "/usr/share/perl5"), ("/srv/pve-lab/root", ""))
ROOT = "root@pam!panel"
ANSWER_SECONDS = 30
"""Within which a server on a busy machine answers what it answers at once; proxmoxer itself waits for five."""

Json = dict[str, Any]


def recorded(name: str) -> Any:
    """Return a file of facts about Proxmox, or skip the test that wants it."""
    for place in PLACES:
        if (place / name).exists():
            # Where tickets were blacked out, the quotation mark after them lost its backslash.
            return json.loads((place / name).read_text().replace('::TICKET",', '::TICKET\\",'))
    pytest.skip(f"{name} is not beside this checkout")


class Player:
    """Sends requests as they were recorded, with our own ids, digests and tickets in place of theirs."""

    def __init__(self, server: PveServer) -> None:
        self.server = server
        self.ours: dict[str, str] = {}
        self.ticket = ""

    def send(self, request: Json) -> tuple[int, str, Any]:
        """Return status, reason and body (JSON if it is any)."""
        context = ssl.create_default_context(cafile=self.server.certificate_file)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.server.port, context=context, timeout=ANSWER_SECONDS
        )
        headers = {name: self._mine(value) for name, value in request["headers"].items()}
        body = self._mine(request["body"]) if request["body"] else request["body"]
        connection.request(request["method"], self._mine(request["url"]), body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.reason, json.loads(text) if text.startswith("{") else text

    def call(self, method: str, path: str, body: str | None = None, who: str = ROOT) -> Any:
        """Make a request of our own that the recordings left out; return its data."""
        secrets = {
            token.name: token.secret
            for user in self.server.world.users.values()
            for token in user.tokens.values()
        }
        headers = {"Authorization": f"PVEAPIToken={who}={secrets[who.partition('!')[2]]}"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        status, reason, answer = self.send(
            {"method": method, "url": f"/api2/json{path}", "headers": headers, "body": body}
        )
        assert status == 200, reason
        return answer["data"]

    def learn(self, theirs: Any, ours: Any) -> None:
        """Remember which of our ids stands for which recorded one."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key in theirs.keys() & ours.keys():
                self.learn(theirs[key], ours[key])
            if "ticket" in theirs:
                self.ticket = quote(ours["ticket"], safe="")
        elif isinstance(theirs, str) and re.fullmatch(r"UPID:.*|[0-9a-f]{40}", theirs) and theirs != ours:
            self.ours.setdefault(theirs, ours)

    def _mine(self, text: str) -> str:
        for theirs, ours in self.ours.items():
            text = text.replace(theirs, ours)
        return re.sub(r"PVE%3Aapp%40pve%3A[^;&]+%3D%3D", self.ticket, text)


def differences(
    theirs: Any, ours: Any, where: str = "", *, volatile: frozenset[str] = frozenset()
) -> list[str]:
    """Return where two answers differ: in JSON types, and in values that do not change by themselves."""
    name = where.rpartition(".")[2]
    if type(theirs) is not type(ours) and not (_is_number(theirs) and _is_number(ours)):
        return [f"{where}: {theirs!r} became {ours!r}"]
    if isinstance(theirs, dict):
        found = [f"{where}.{key} is missing" for key in theirs.keys() - ours.keys()]
        found += [f"{where}.{key} is new" for key in ours.keys() - theirs.keys()]
        for key in theirs.keys() & ours.keys():
            found += differences(theirs[key], ours[key], f"{where}.{key}", volatile=volatile)
        return found
    if isinstance(theirs, list):
        if len(theirs) != len(ours):
            return [f"{where}: {len(theirs)} entries became {len(ours)}"]
        pairs = zip(sorted(theirs, key=_identity), sorted(ours, key=_identity), strict=True)
        return [
            line for one, other in pairs for line in differences(one, other, where + "[]", volatile=volatile)
        ]
    if name in VOLATILE | volatile or _same(theirs, ours, name):
        return []
    return [f"{where}: {theirs!r} became {ours!r}"]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _identity(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return next((str(item[key]) for key in IDENTITY if key in item and key != "upid"), "")


def _same(theirs: Any, ours: Any, name: str) -> bool:
    if name in SETS and isinstance(theirs, str):
        return set(theirs.split(",")) == set(ours.split(","))
    if isinstance(theirs, str):
        for recorded_path, real_path in PATHS:
            theirs = theirs.replace(recorded_path, real_path)
        mac = r"hwaddr=BC:24:11(:[0-9A-F]{2}){3}"
        if re.fullmatch(r"[0-9a-f]{40}", theirs):
            return re.fullmatch(r"[0-9a-f]{40}", ours) is not None
        if theirs.startswith("UPID:"):
            return _kind(theirs) == _kind(ours)
        return re.sub(mac, "hwaddr=", theirs) == re.sub(mac, "hwaddr=", ours)
    return bool(theirs == ours)


def _kind(upid: str) -> tuple[str, ...]:
    parts = upid.split(":")
    return (parts[1], *parts[5:8])
