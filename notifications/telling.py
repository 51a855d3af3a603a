"""Telling: any room says what happened, and those who asked for the topic hear of it."""

from collections.abc import Callable, Iterable

from django.db import transaction

from accounts.actors import Actor
from accounts.models import User
from jobs.services import start_job
from jobs.works import Retry
from notifications import registry
from notifications.models import Delivery, Message, Subscription, Webhook

MAIL_WORK = "notifications.mail"
POST_WORK = "notifications.post"
# Seconds that mail waits for more news: a cut network fails fifty jobs, and should be one mail.
GATHER = 20.0
RETRY = Retry(every=60.0, until_hours=24.0)


def tell(
    topic: str, title: str, text: str = "", *, path: str = "", may_see: Callable[[User], bool] | None = None
) -> Message | None:
    """Tell everybody who asked for `topic`; nothing is kept when nobody did.

    `title` is one line, `path` a page of the panel. `may_see(person)` keeps it from people who may not see
    what it is about; without it, only admins hear of it. Web hooks are the admins' and hear everything.
    Raises LookupError for a topic that nobody has registered.
    """
    known = registry.get(topic)
    people = [person for person in _subscribers(known.name) if (may_see or _is_admin)(person)]
    hooks = [hook for hook in Webhook.objects.filter(active=True) if known.name in hook.topics]
    if not people and not hooks:
        return None
    return _send(Message(topic=known.name, title=_line(title), text=text, path=path), people, hooks)


def tell_only(
    *, title: str, text: str, person: User | None = None, webhook: Webhook | None = None
) -> Message:
    """Send one message to one receiver, whatever it has asked for: to try it out."""
    people = [person] if person else []
    return _send(Message(title=_line(title), text=text), people, [webhook] if webhook else [])


def _line(title: str) -> str:
    return " ".join(title.split())[:200]


def _is_admin(person: User) -> bool:
    return person.is_admin


def _subscribers(topic: str) -> Iterable[User]:
    chosen = Subscription.objects.filter(topic=topic, person__is_active=True).exclude(person__email="")
    return [row.person for row in chosen.select_related("person").order_by("pk")]


@transaction.atomic
def _send(message: Message, people: list[User], hooks: list[Webhook]) -> Message:
    message.save()
    Delivery.objects.bulk_create(
        [
            *(Delivery(message=message, person=person) for person in people),
            *(Delivery(message=message, webhook=hook) for hook in hooks),
        ]
    )
    actor = Actor.system("notifications")
    for person in people:
        start_job(
            actor,
            MAIL_WORK,
            f"Mail to {person}",
            {"person": person.pk},
            retry=RETRY,
            delay=GATHER if message.topic else 0.0,
            once=True,
        )
    for hook in hooks:
        start_job(actor, POST_WORK, f"Web hook {hook}", {"webhook": hook.pk}, retry=RETRY, once=True)
    return message
