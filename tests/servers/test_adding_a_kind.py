"""The example of docs/adding-a-kind.md does what the page says."""

import re

import pytest

from hosts import engine
from hosts.memory import MemoryHost
from servers.models import Server
from tests.panel import ROOT

pytestmark = pytest.mark.django_db


def test_the_documented_kind_is_put_on_a_host_once():
    page = (ROOT / "docs/adding-a-kind.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    room: dict = {}
    exec(code, room)  # noqa: S102 - our own page
    host = MemoryHost()
    state = room["motd"](Server(name="web1.example.org", notes="Shop"))
    engine.apply(host, engine.plan(host, state))
    assert host.read("/etc/motd") == b"This is web1.example.org.\n"
    assert engine.plan(host, state).empty
    assert room["motd"](Server(name="web1.example.org")) is None
