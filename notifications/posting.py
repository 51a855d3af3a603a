"""News by web hook: one signed POST a message, in order.

The body is JSON. `X-Gestion-Signature` is `sha256=` and the hexadecimal HMAC-SHA256, under the hook's secret, of the
timestamp in `X-Gestion-Timestamp` (seconds since 1970), a full stop and the body: a receiver can refuse what is old.

Of the answer only the status counts, and little of the rest is read. Where it goes is decided by `targets`.
"""

import json
import time

import requests
from django.utils.translation import gettext as _

from accounts.shared_secrets import signature
from hosts.bounds import KIB
from hosts.outgoing import BoundedAdapter, new_session
from notifications import targets
from notifications.mailing import DeliveryFailed
from notifications.models import DeliveryState, Message, Webhook, waiting

TIMEOUT = (5.0, 15.0)  # seconds to connect, and between two pieces of the answer
LONGEST = 30.0  # seconds for one message in all
ANSWER_BYTES = 256 * KIB  # that are taken of an answer, its head included
WORDS = 200  # characters of a refusal that are kept
MOST_IN_ONE = 200


def post_waiting(webhook: Webhook) -> int:
    """Post what waits for this web hook; returns how many messages. Raises DeliveryFailed at the first refusal."""
    count = 0
    for delivery in waiting(webhook=webhook)[:MOST_IN_ONE]:
        if not webhook.active and delivery.message.topic:
            delivery.end(DeliveryState.FAILED, _("The web hook is switched off."))
            continue
        words = _post(webhook, delivery.message)
        if words:
            delivery.error = words
            delivery.save(update_fields=["error"])
            raise DeliveryFailed(_("%(hook)s did not take it: %(words)s") % {"hook": webhook, "words": words})
        delivery.end(DeliveryState.SENT)
        count += 1
    return count


def _post(webhook: Webhook, message: Message) -> str:
    """Send one message; returns what went wrong, without the URL, or nothing."""
    body = json.dumps(as_json(message)).encode()
    at = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Gestion",
        "X-Gestion-Timestamp": at,
        "X-Gestion-Signature": "sha256=" + signature(webhook.secret, body, at),
    }
    adapter = BoundedAdapter(ANSWER_BYTES, LONGEST, targets.connect)
    try:
        with (
            new_session(adapter) as session,
            session.post(
                webhook.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer,
        ):
            ok, status = answer.ok and not answer.is_redirect, f"{answer.status_code} {answer.reason}"
    except requests.RequestException as error:
        return _trouble(error, adapter)
    return "" if ok else status[:WORDS]


def _trouble(error: requests.RequestException, adapter: BoundedAdapter) -> str:
    if isinstance(adapter.refused, targets.NotAllowed):
        return str(adapter.refused)
    if isinstance(error, requests.TooManyRedirects) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"[:WORDS]
    if adapter.allowance.broken is not None:
        return _("its answer was cut: %s") % adapter.allowance.broken
    # Its text holds the URL, and with that perhaps a password.
    return _("no connection (%s)") % type(error).__name__


def as_json(message: Message) -> dict[str, object]:
    """What a web hook gets; `id` is the same when a message comes twice."""
    return {
        "id": message.pk,
        "topic": message.topic or "test",
        "title": message.title,
        "text": message.text,
        "url": message.url,
        "at": message.at.isoformat(),
    }
