"""What a log must not hold: a path may carry a link that sets a password, or a secret that somebody put there."""

import logging
import re

# As in Caddy's log (deploy/caddy/common.caddy): what is long enough to be a token, and every value of a query.
TOKEN = re.compile(r"([?&][^=&]*=)[^&]*|[A-Za-z0-9_.:%~=-]{30,}")
OF_REQUESTS = (
    "django.",
    "gestion.",
    "accounts.",
    "githooks.",
    "keymanager.",
    "pages.",
)  # loggers of who answers


class PathFilter(logging.Filter):
    """Shortens paths of requests, also those that lead nowhere."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: the record is changed, not dropped."""
        if record.name.startswith(OF_REQUESTS) and isinstance(record.args, tuple):
            record.args = tuple(_shortened(arg) for arg in record.args)
        return True


def _shortened(arg: object) -> object:
    if isinstance(arg, str) and arg.startswith("/"):
        return TOKEN.sub(lambda found: f"{found[1] or ''}…", arg)
    return arg
