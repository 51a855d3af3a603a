"""Web hooks; the admins'."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from notifications import registry, services
from notifications.forms import WebhookForm
from notifications.models import Webhook
from pages.answers import done, form_data, show_form, show_page
from pages.buttons import button, takes_no_fields

MOST_SHOWN = 30


@admin_required
@require_http_methods(["GET", "HEAD"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """All web hooks."""
    rows = list(Webhook.objects.all())
    return show_page(
        request, "notifications/webhooks.html", {"webhooks": rows}, {"rows": [_json(hook) for hook in rows]}
    )


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new web hook."""
    form = WebhookForm(form_data(request), initial={"active": True})
    if form.is_bound and form.is_valid():
        hook = services.add_webhook(actor_of(request), **form.cleaned_data)
        words = _("Now give its secret to the receiver, and try it.")
        return done(request, words, hook.get_absolute_url(), {"id": hook.pk, "secret": hook.secret})
    return show_form(request, "notifications/new_webhook.html", form)


@admin_required
@never_cache
@require_http_methods(["GET", "HEAD"])
def webhook(request: HttpRequest, pk: int) -> HttpResponse:
    """A web hook, and what it was told."""
    hook = get_object_or_404(Webhook, pk=pk)
    last = list(hook.deliveries.select_related("message").order_by("-pk")[:MOST_SHOWN])
    titles = [topic.title for topic in registry.topics() if topic.name in hook.topics]
    context = {"webhook": hook, "last": last, "titles": titles}
    told = [
        {"title": row.message.title, "at": row.message.at, "state": row.state, "error": row.error}
        for row in last
    ]
    return show_page(request, "notifications/webhook.html", context, {**_json(hook), "told": told})


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a web hook."""
    hook = get_object_or_404(Webhook, pk=pk)
    form = WebhookForm(form_data(request), instance=hook)
    if form.is_bound and form.is_valid():
        hook = services.change_webhook(actor_of(request), hook, **form.cleaned_data)
        return done(request, _("Saved."), hook.get_absolute_url())
    return show_form(request, "notifications/edit_webhook.html", form, {"webhook": hook})


@admin_required
@button
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Give it another secret."""
    hook = services.renew_secret(actor_of(request), get_object_or_404(Webhook, pk=pk))
    words = _("It has a new secret: give it to the receiver.")
    return done(request, words, hook.get_absolute_url(), {"secret": hook.secret})


@admin_required
@button
def try_it(request: HttpRequest, pk: int) -> HttpResponse:
    """Send it a message."""
    hook = get_object_or_404(Webhook, pk=pk)
    services.try_webhook(actor_of(request), hook)
    return done(request, _("A message is on its way."), hook.get_absolute_url())


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a web hook."""
    hook = get_object_or_404(Webhook, pk=pk)
    if request.method == "POST":
        services.delete_webhook(actor_of(request), hook)
        return done(request, _("“%s” is deleted.") % hook.name, reverse("notifications:webhooks"))
    context = {"webhook": hook, "cancel_url": hook.get_absolute_url()}
    return show_page(request, "notifications/delete_webhook.html", context, _json(hook))


def _json(hook: Webhook) -> dict[str, Any]:
    return {"id": hook.pk, "name": hook.name, "topics": hook.topics, "active": hook.active}
