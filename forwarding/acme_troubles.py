"""What goes wrong with an authority, as one sentence for a person and a time to wait."""

import re
from datetime import UTC, datetime, timedelta

import requests
from acme import errors, messages
from django.utils.translation import gettext as _
from josepy.errors import Error as JoseError

SAID = 500  # characters kept of what the authority says
LIMITED = timedelta(hours=3)  # where it does not say how long
LONGEST = timedelta(days=7)  # that its word keeps us from trying
_UNTIL = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", re.IGNORECASE | re.ASCII)
# What certbot's library raises, or lets through when an answer is not of ACME's form. OSError: no connection, or no
# file at ACME_CA_FILE.
FROM_LIBRARY = (
    errors.Error,
    requests.RequestException,
    OSError,
    JoseError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class AcmeTrouble(Exception):  # noqa: N818 - how a try ended, told to a person
    """No certificate; str() says why and what to do. `wait`: the authority wants none to try before that."""

    def __init__(self, words: str, wait: timedelta = timedelta(0)) -> None:
        super().__init__(words)
        self.wait = wait


class AuthorityAway(AcmeTrouble):
    """The authority cannot be reached, or is broken: nothing is known to be wrong with the hostname."""


def translated(error: Exception, directory: str, wait: timedelta) -> AcmeTrouble:
    """One of FROM_LIBRARY as trouble; `wait` is what the answer's Retry-After said."""
    if isinstance(error, errors.IssuanceError):
        error = error.error
    if isinstance(error, messages.Error):
        return _refused(error, directory, wait)
    if isinstance(error, requests.exceptions.SSLError):
        text = _("%(url)s shows a certificate that is not trusted: %(why)s. See ACME_CA_FILE.")
    elif isinstance(error, OSError) and not isinstance(error, ValueError):  # also what requests raises
        text = _("%(url)s cannot be reached: %(why)s")
    else:
        text = _("%(url)s does not answer as an ACME directory should: %(why)s")
    return AuthorityAway(text % {"url": directory, "why": _short(error)}, _bounded(wait))


def _refused(error: messages.Error, directory: str, wait: timedelta) -> AcmeTrouble:
    words = {"url": directory, "said": said_by(error)}
    if error.code == "rateLimited":
        wait = wait or _named(error.detail or "") or LIMITED
        return AcmeTrouble(_("%(url)s has had enough requests for now: %(said)s") % words, _bounded(wait))
    if error.code in ("serverInternal", "badNonce"):
        return AuthorityAway(_("%(url)s has a fault of its own: %(said)s") % words, _bounded(wait))
    return AcmeTrouble(_("%(url)s refuses: %(said)s") % words)


def said_by(error: messages.Error) -> str:
    """The authority's own words, on one line."""
    said = [error.detail or error.title or error.code or error.typ or ""]
    said += [sub.detail or "" for sub in error.subproblems or () if isinstance(sub, messages.Error)]
    return " ".join(" ".join(said).split())[:SAID]


def status_of(error: BaseException) -> int:
    """The HTTP status of an answer that is no JSON; 0 where there is none."""
    answer = error.args[0] if isinstance(error, errors.ClientError) and error.args else None
    return answer.status_code if isinstance(answer, requests.Response) else 0


def _short(error: BaseException) -> str:
    """The innermost of a chain of causes, in a few words."""
    if status := status_of(error):
        return f"HTTP {status}"
    root: BaseException = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    said = getattr(root, "verify_message", "") or getattr(root, "strerror", "") or str(root)
    return " ".join(str(said).split()).rstrip(".")[:200] or type(root).__name__


def _named(detail: str) -> timedelta:
    """How long until the time that Let's Encrypt names in its words; nothing where it names none."""
    found = _UNTIL.search(detail)
    try:
        until = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00") if found else None
    except ValueError:
        return timedelta(0)
    return max(until - datetime.now(UTC), timedelta(0)) if until else timedelta(0)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, timedelta(0)), LONGEST)
