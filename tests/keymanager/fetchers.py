"""Servers that fetch: with a token, and with keys that came by the real services' way of announcing a
change.
"""

from accounts.actors import Actor
from accounts.models import User
from keymanager.models import FetchToken, Group
from keymanager.revisions import touch
from keymanager.tokens import give_token
from servers.models import Server
from tests.keymanager.fake_panel import quiet_minute
from tests.keymanager.fleets import make_key, make_server

ACTOR = Actor.system("test")


def fetching_server(name: str, *users: str, km: str = "") -> tuple[Server, str]:
    """A server and its token."""
    server = make_server(name, *users, km=km)
    touch([server.keymanager_name])
    return server, give_token(ACTOR, server).secret


def without_cron(server: Server) -> None:
    """Have the server, which has a token, fetch by its cron at no minute of the test, and at once when told."""
    FetchToken.objects.filter(server=server).update(minute=quiet_minute())


def let_in(server: Server, username: str, comment: str = "") -> User:
    """A person with one key, in a group of her own that is allowed on the whole server."""
    person = User.objects.create(username=username)
    make_key(person, username, comment=comment)
    group = Group.objects.create(name=f"of {username}")
    group.member_users.add(person)
    group.allowed_servers.add(server)
    touch([server.keymanager_name])
    return person


def shut_out(server: Server, person: User) -> None:
    """Take the person's keys away."""
    person.ssh_keys.all().delete()
    touch([server.keymanager_name])
