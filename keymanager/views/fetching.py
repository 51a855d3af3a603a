"""What can be done about a server's fetching, from its keymanager page."""

from contextlib import suppress

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from accounts.token_scopes import never_by_token, only_read_by_token
from keymanager import fetching
from keymanager.forms import NewTokenForm, SigningForm, StopFetchingForm
from keymanager.models import FetchToken, SigningKey
from keymanager.services.fetching import servers_without_next_key, show_install_script, sign_with_next_key
from keymanager.signing import AlreadyPrepared
from pages.answers import done, form_data, refused, refused_form, show_form, show_page
from pages.buttons import button
from servers.configs import NotWritable
from servers.models import Server
from servers.views.foretelling import foretells


def _page(server: Server) -> str:
    return reverse("keymanager:server", args=[server.pk])


@admin_required
@foretells
@button
def install(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a server fetch its keys: token, script and cron entry."""
    server = get_object_or_404(Server, pk=pk)
    fetching.install(actor_of(request), server)
    return done(request, _("Fetching is being set up on %s.") % server, _page(server))


@button
def fetch_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Have one server fetch now; also for its owners."""
    server = get_object_or_404(Server.objects.visible_to(user_of(request)), pk=pk)
    if not FetchToken.objects.filter(server=server).exists():
        return refused(request, _("%s does not fetch from here yet.") % server, _page(server))
    job = fetching.fetch_now(actor_of(request), [server])
    return done(request, _("%s fetches its keys now.") % server, job.get_absolute_url(), {"job": job.pk})


@admin_required
@button
def fetch_all_now(request: HttpRequest) -> HttpResponse:
    """Have every server that fetches from here do it now, side by side."""
    servers = Server.objects.filter(fetch_token__isnull=False)
    if not servers:
        return refused(request, _("No server fetches from here yet."), reverse("keymanager:overview"))
    job = fetching.fetch_now(actor_of(request), servers)
    return done(request, _("All servers fetch their keys now."), job.get_absolute_url(), {"job": job.pk})


@never_by_token
@admin_required
@never_cache
@button
def script(request: HttpRequest, pk: int) -> HttpResponse:
    """The script to install by hand. It holds the server's token, so it takes a POST and is kept nowhere."""
    server = get_object_or_404(Server, pk=pk)
    try:
        text = show_install_script(actor_of(request), server)
    except NotWritable as error:
        return refused(request, str(error), _page(server))
    context = {"server": server, "script": text, "back": _page(server)}
    return show_page(request, "keymanager/install_script.html", context, {"script": text})


@admin_required
@require_POST
@foretells
def replace_token(request: HttpRequest, pk: int) -> HttpResponse:
    """A new token; with `at_once` the old one stops now."""
    server = _fetching_server(pk)
    form = NewTokenForm(form_data(request))
    if not form.is_valid():
        return refused_form(request, form, _page(server))
    fetching.rotate_token(actor_of(request), server, at_once=form.cleaned_data["at_once"])
    return done(request, _("The token of %s is being replaced.") % server, _page(server))


@admin_required
@button
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    """A new revision of the key set, after an older database was put back."""
    server = get_object_or_404(Server, pk=pk)
    fetching.send_again(actor_of(request), server)
    return done(request, _("%s gets its keys again.") % server, _page(server))


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def uninstall(request: HttpRequest, pk: int) -> HttpResponse:
    """A server fetches no more; its keys stay, or are taken away first."""
    server = _fetching_server(pk)
    form = StopFetchingForm(form_data(request))
    if form.is_valid():
        take = form.cleaned_data["take_keys"]
        job = fetching.uninstall(actor_of(request), server, take_keys=take)
        url = job.get_absolute_url() if job else _page(server)
        return done(request, _("%s stops fetching.") % server, url, {"job": job.pk if job else None})
    return show_form(request, "keymanager/stop_fetching.html", form, {"server": server})


@only_read_by_token
@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def signing(request: HttpRequest) -> HttpResponse:
    """The keys that sign answers; POST `step` prepares the next one, or uses it."""
    url = reverse("keymanager:signing")
    keys = SigningKey.objects.order_by("-pk")
    following = keys.filter(signs=False, retired_at=None).exists()
    form = SigningForm(form_data(request))
    if form.is_bound and not form.is_valid():
        return refused_form(request, form, url)
    if form.is_bound:
        step = form.cleaned_data["step"]
        if step == "prepare":
            with suppress(AlreadyPrepared):
                fetching.prepare_next_signing_key(actor_of(request))
                return done(request, _("The next key is prepared; servers learn to believe it."), url)
        if step == "use" and following:
            sign_with_next_key(actor_of(request))
            return done(request, _("Answers are signed with the new key."), url)
        return refused(request, _("Nothing to do: somebody else was quicker."), url)
    waiting = servers_without_next_key() if following else []
    rows = [{"key": key.public_key, "signs": key.signs, "retired_at": key.retired_at} for key in keys]
    context = {"keys": keys, "following": following, "waiting": waiting}
    return show_page(request, "keymanager/signing.html", context, {"keys": rows, "waiting": waiting})


def _fetching_server(pk: int) -> Server:
    server = get_object_or_404(Server, pk=pk)
    if not FetchToken.objects.filter(server=server).exists():
        raise Http404
    return server
