"""Browsers in which the people of a world are signed in that stays for all tests of a file."""

from django.conf import settings
from django.test import Client

from accounts.models import User


class Sessions:
    """One session for each of these people, begun with the world: to sign in anew takes as long as a page.

    What a test does to a session is taken back with all else that it did.
    """

    def __init__(self, *people: User) -> None:
        self._keys = {person.pk: _begin(person) for person in people}

    def browser(self, person: User, **options: bool) -> Client:
        """A browser with this person's session; options as Client's. What breaks in a view is raised here."""
        client = Client(**options)  # type: ignore[arg-type]  # of which all that tests give are switches
        client.cookies[settings.SESSION_COOKIE_NAME] = self._keys[person.pk]
        return client


def _begin(person: User) -> str:
    client = Client()
    client.force_login(person)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
