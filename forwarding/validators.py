"""Rules for what a person types about a hostname; each refuses whatever could be read as anything else."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from servers.validators import normal_name, validate_host_name

# What certificate files are called; nothing that a configuration file could read as anything else.
_PATH = re.compile(r"(/[A-Za-z0-9._@+][A-Za-z0-9._@+-]*)+", re.ASCII)


def normal_domain(value: str) -> str:
    """A domain as it is stored: lower case, no dot at the end, in punycode, perhaps with "*." before it.

    What cannot be such a name is given back as it is, for validate_domain to refuse.
    """
    value = value.strip(" ")
    if value.startswith("*."):
        return f"*.{normal_name(value[2:])}"
    return normal_name(value)


def validate_domain(value: str) -> None:
    """A domain name, or "*." and a domain name of at least two parts."""
    rest = value.removeprefix("*.")
    validate_host_name(rest)
    if len(value) > 253 or (rest != value and "." not in rest):
        raise ValidationError(_("After “*.” comes a whole domain, such as *.example.org."))


def validate_pem_path(value: str) -> None:
    """The absolute path of a file, in letters, digits and . _ @ + - alone."""
    if not _PATH.fullmatch(value) or ".." in value:
        raise ValidationError(
            _("Enter an absolute path such as /etc/ssl/example.org.pem: letters, digits, . _ @ + and -.")
        )
