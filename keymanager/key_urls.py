"""Public keys at an address that somebody names, as git hosts show them: https://github.com/NAME.keys, and alike
GitLab, Gitea and Forgejo. Asked once, by HTTPS alone, within bounds, and where `notifications.targets` lets us go.
"""

import codecs
import re
from functools import partial
from urllib.parse import urljoin, urlsplit

import requests
from django.utils.translation import gettext as _

from hosts.bounds import KIB
from hosts.outgoing import BoundedAdapter, new_session
from keymanager.bad_key import BadKey
from notifications import targets

NETWORKS = "KEY_URL_NETWORKS"
ANSWER_BYTES = 100 * KIB  # of one answer, its head included
ANSWER_SECONDS = 20.0  # for one answer in all
TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two pieces of the answer
MOST_REDIRECTS = 3  # on the same host: GitLab leads from one spelling of a name to the other
MOST_CHARACTERS = 500
_AROUND = " \t\r\n\xa0<>\"'`“”"  # as mails and documents set an address apart
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BARE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/\S*")


class FetchFailed(Exception):  # noqa: N818  # a sentence for the person who asked
    """Nothing came of it; the text says why, and what to do."""


def url_in(text: str) -> str:
    """The address that a paste is, or nothing where it is none. Raises BadKey for one that is not asked."""
    text = text.strip(_AROUND)
    if _BARE.fullmatch(text):
        raise BadKey(_("Write https:// before the address."))
    if not _SCHEME.match(text):
        return ""
    if len(text.split()) > 1:
        raise BadKey(_("Give one address by itself, and keys without an address."))
    return _checked(text)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise BadKey(_("This is not an address: https://host/name.keys is one.")) from error
    if parts.scheme != "https":
        raise BadKey(_("Keys are fetched by https:// alone: on another way somebody could change them."))
    if parts.username is not None:
        raise BadKey(_("Leave user name and password out of the address."))
    if not host or len(url) > MOST_CHARACTERS or not url.isprintable():
        raise BadKey(_("This is not an address: https://host/name.keys is one."))
    return parts._replace(fragment="").geturl()


def fetch(url: str) -> str:
    """What lies at the address, as text. Raises FetchFailed."""
    adapter = BoundedAdapter(ANSWER_BYTES, ANSWER_SECONDS, partial(targets.connect, setting=NETWORKS))
    with new_session(adapter) as session:
        for _hop in range(MOST_REDIRECTS + 1):
            try:
                answer = _get(session, url)
                if not answer.is_redirect:
                    return _text_of(answer)
            except requests.RequestException as error:
                raise FetchFailed(_trouble(error, adapter, url)) from error
            url = _next(url, answer)
    raise FetchFailed(_("The address leads on and on."))


def _get(session: requests.Session, url: str) -> requests.Response:
    """One answer, also one that leads elsewhere, of which the session says that it is one too many."""
    try:
        return session.get(
            url,
            headers={"User-Agent": "Gestion", "Accept": "text/plain, */*;q=0.5"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.TooManyRedirects as error:
        if error.response is None:
            raise
        return error.response


def _next(url: str, answer: requests.Response) -> str:
    """Where the answer leads, on the same host. Raises FetchFailed."""
    try:
        there, here = urlsplit(urljoin(url, answer.headers["Location"])), urlsplit(url)
        same = there.scheme == "https" and (there.hostname, there.port or 443) == (
            here.hostname,
            here.port or 443,
        )
    except ValueError:
        same = False
    if not same:
        words = _(
            "%s leads on to another address, which is not followed. Open it yourself, and give that one."
        )
        raise FetchFailed(words % url)
    return there.geturl()


def _text_of(answer: requests.Response) -> str:
    if answer.status_code in (404, 410):
        words = _("There is nothing at %(url)s (%(status)d). Is the name right?")
        raise FetchFailed(words % {"url": answer.url, "status": answer.status_code})
    if answer.status_code != 200:
        words = _("%(host)s answered %(status)d, and no keys.")
        raise FetchFailed(words % {"host": urlsplit(answer.url).hostname, "status": answer.status_code})
    content = answer.content
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what PowerShell's ">" writes
    text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    if text.lstrip().startswith("<"):
        raise FetchFailed(
            _(
                "There is a web page at this address, perhaps one to sign in, and no list of keys. GitHub, GitLab, "
                "Gitea and Forgejo show somebody's keys at https://host/name.keys."
            )
        )
    return text


def _trouble(error: requests.RequestException, adapter: BoundedAdapter, url: str) -> str:
    host = urlsplit(url).hostname
    if isinstance(
        adapter.refused, targets.NotAllowed
    ):  # not where it leads: whoever asked need not know our networks
        words = _(
            "%(host)s leads into a network that keys are not fetched from. An admin can open it: %(setting)s."
        )
        return words % {"host": host, "setting": NETWORKS}
    if adapter.allowance.broken is not None:
        return _("The answer of %(host)s was cut: %(why)s.") % {"host": host, "why": adapter.allowance.broken}
    if isinstance(error, requests.exceptions.SSLError):
        return _("%s does not prove who it is: its certificate is not one that is trusted here.") % host
    if isinstance(error, requests.exceptions.Timeout):
        return _("%s did not answer in time.") % host
    return _("%(host)s was not reached, or did not answer as a web server does (%(error)s).") % {
        "host": host,
        "error": type(error).__name__,
    }
