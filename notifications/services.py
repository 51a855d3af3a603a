"""What can be done with subscriptions and web hooks."""

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from accounts.shared_secrets import fresh_secret
from notifications.models import Message, Subscription, Webhook
from notifications.telling import tell_only
from pages.registry import Held


@transaction.atomic
def choose_topics(actor: Actor, person: User, topics: Sequence[str]) -> None:
    """Have a person hear of these topics by mail, and of no others."""
    User.objects.select_for_update().get(pk=person.pk)
    before = sorted(person.subscriptions.values_list("topic", flat=True))
    person.subscriptions.exclude(topic__in=topics).delete()
    Subscription.objects.bulk_create(
        [Subscription(person=person, topic=topic) for topic in topics if topic not in before]
    )
    audit.record_change(actor, "notifications.choose", person, {"topics": before}, {"topics": sorted(topics)})


@transaction.atomic
def add_webhook(actor: Actor, *, name: str, url: str, topics: Sequence[str], active: bool) -> Webhook:
    """A new web hook, with a secret of its own."""
    hook = Webhook.objects.create(name=name, url=url, topics=sorted(topics), active=active)
    audit.record(actor, "webhook.create", hook, after=_facts(hook))
    return hook


@transaction.atomic
def change_webhook(
    actor: Actor, hook: Webhook, *, name: str, url: str, topics: Sequence[str], active: bool
) -> Webhook:
    """Change a web hook; an empty `url` keeps the one it has."""
    hook = Webhook.objects.select_for_update().get(pk=hook.pk)
    before, moved = _facts(hook), bool(url) and url != hook.url
    hook.name, hook.url, hook.topics, hook.active = name, url or hook.url, sorted(topics), active
    hook.save()
    audit.record_change(actor, "webhook.change", hook, before, {**_facts(hook), "moved": moved or None})
    return hook


@transaction.atomic
def renew_secret(actor: Actor, hook: Webhook) -> Webhook:
    """Give a web hook another secret; what is signed with the old one ends at once."""
    hook = Webhook.objects.select_for_update().get(pk=hook.pk)
    hook.secret = fresh_secret()
    hook.save(update_fields=["secret"])
    audit.record(actor, "webhook.renew_secret", hook)
    return hook


@transaction.atomic
def delete_webhook(actor: Actor, hook: Webhook) -> None:
    """Delete a web hook, and what it was told."""
    audit.record(actor, "webhook.delete", hook, before=_facts(hook))
    hook.delete()


def try_webhook(actor: Actor, hook: Webhook) -> Message:
    """Send a web hook a message that says that it works."""
    audit.record(actor, "webhook.try", hook)
    return tell_only(
        title=_("It works"), text=_("Sent by %s to try this web hook.") % actor.name, webhook=hook
    )


def try_mail(actor: Actor, person: User) -> Message:
    """Send a person a mail that says that it works."""
    audit.record(actor, "notifications.try", person)
    return tell_only(title=_("It works"), text=_("Mail from the panel reaches you."), person=person)


def person_holds(person: User) -> Iterable[Held]:
    """What goes with a person."""
    count = person.subscriptions.count()
    if count:
        yield Held(ngettext("%d choice of news by mail", "%d choices of news by mail", count) % count)


def _facts(hook: Webhook) -> dict[str, object]:
    return {"name": hook.name, "topics": hook.topics, "active": hook.active}
