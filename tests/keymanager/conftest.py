"""The hosts' script on this machine, and the panel it asks."""

import pytest

from tests.keymanager.fake_panel import fake_panel
from tests.keymanager.script_host import ScriptHost


@pytest.fixture
def panel():
    with fake_panel("127.0.0.1") as one:
        yield one


@pytest.fixture
def host(tmp_path, panel):
    return ScriptHost(tmp_path / "host", panel)
