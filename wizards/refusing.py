"""What services refuse, as the failure of a wizard's task, in the service's own words: it is no fault of the panel."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError

from accounts.services import NotAllowed
from backups.services.plans import NotNow
from backups.services.restores import RestoreRefused
from backups.services.runs import RunRefused
from fabrun.services import ScriptMissing
from forwarding.services.certificates import OrderRefused
from keymanager.bad_key import BadKey
from keymanager.services.passwords import NotYet
from pages.second_word import SecondWordNeeded
from proxmox.passwords import NoPasswordSecret
from proxmox.services.create import CreateRefused
from samba.passwords import NoShareSecret
from samba.services.shares import StaleShare
from servers.services import DeleteRefused, StaleEdit
from wizards.declare import Refused

REFUSALS = (
    *(BadKey, CreateRefused, DeleteRefused, NoPasswordSecret, NoShareSecret, NotAllowed, NotNow, NotYet),
    *(OrderRefused, RestoreRefused, RunRefused, ScriptMissing, SecondWordNeeded, StaleEdit, StaleShare),
)


@contextmanager
def refusing() -> Iterator[None]:
    """Raises Refused for what a service refuses. The engine runs every task within it."""
    try:
        yield
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    except REFUSALS as error:
        raise Refused(str(error)) from error
