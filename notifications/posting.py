"""News by web hook: one signed POST a message, in order.

The body is JSON. `X-Gestion-Signature` is `sha256=` and the hexadecimal HMAC-SHA256, under the hook's secret, of the
timestamp in `X-Gestion-Timestamp` (seconds since 1970), a full stop and the body: a receiver can refuse what is old.
"""

import json
import time

import requests
from django.utils.translation import gettext as _

from accounts.shared_secrets import signature
from notifications.mailing import DeliveryFailed
from notifications.models import DeliveryState, Message, Webhook, waiting

TIMEOUT = (5.0, 15.0)  # seconds to connect, and to answer
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
    try:
        with requests.post(
            webhook.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            ok, status = answer.ok and not answer.is_redirect, f"{answer.status_code} {answer.reason}"
    except requests.RequestException as error:
        # Its text holds the URL, and with that perhaps a password.
        return _("no connection (%s)") % type(error).__name__
    return "" if ok else status


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
