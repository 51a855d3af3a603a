"""What the words in a script's docstring give it, and what that makes of a server."""

import pytest

from fabrun.values import NEED_KM, values_for
from keymanager.models import FetchToken
from tests.keymanager.fleets import make_server

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("arguments", [{}, {"keys": True}])
def test_a_script_that_may_install_the_fetching_has_what_it_takes(actor, arguments):
    server = make_server("web1")
    found = values_for(actor, server, [NEED_KM], "", arguments)
    assert found["keymanager_script"].startswith("#!/bin/sh")
    assert FetchToken.objects.filter(server=server).exists()
    assert (found["keymanagerName"], found["keyManagerUsers"]) == (server.keymanager_name, ["root"])


def test_one_that_leaves_the_keys_alone_does_not_set_the_server_up_to_fetch(actor):
    found = values_for(actor, make_server("web1"), [NEED_KM], "", {"keys": False})
    assert found["keymanager_script"] == ""
    assert not FetchToken.objects.exists()
