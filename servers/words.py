"""What went wrong with a host, in the reader's language."""

from django.utils.translation import gettext as _

from hosts.errors import HostError


def sentence(error: HostError) -> str:
    """The error's sentence, which says what to do."""
    return _(error.sentence) % error.values
