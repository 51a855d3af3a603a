"""Whether a server is reached is asked as work is done: by a command whose answer counts, on real hosts."""

import pytest

from servers.contact import check
from servers.models import Contact
from tests.backups.lab_rows import Ground, ground, sh

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
BEFORE = "cd ~/.ssh && sed -i 's/^/{} /' authorized_keys"
CAUSES = {
    "its login prints a line": ("sed -i '1i echo Welcome to files1' ~/.bashrc", "Welcome to files1"),
    "a command is forced": (BEFORE.format('command="echo nothing here"'), "nothing here"),
    "a command is forced that says nothing": (BEFORE.format('command="true"'), "nothing"),
    "its shell is nologin": ("usermod -s /usr/sbin/nologin root", "not available"),
}


@pytest.fixture
def place(fleet, lab_key) -> Ground:
    return ground(fleet, lab_key)


def test_a_host_that_answers_is_reached(place):
    assert check(place.source) == Contact.OK


@pytest.mark.parametrize("cause", CAUSES)
def test_a_login_that_does_not_do_what_it_is_told_is_not_reached(place, cause):
    server = place.source
    script, words = CAUSES[cause]
    sh(place.here, script, check=True)
    assert check(server) == Contact.UNREACHABLE
    server.refresh_from_db()
    assert words in server.contact_why
    assert "lets the panel in" in server.contact_why
