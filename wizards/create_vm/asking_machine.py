"""What is asked about the container itself: name and host first, then how it is made."""

from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from pages.forms import CleanText
from proxmox.addresses import NoAddress, gateway_of, next_free, problem_with, settings_of
from proxmox.forms.create import CreateForm
from proxmox.models import Offer
from proxmox.passwords import NoPasswordSecret, secret_mark
from proxmox.services.create import why_not
from servers.forms import DomainNameField, WordsField
from servers.models import Server
from servers.validators import validate_server_name, validate_unix_name
from wizards.declare import Data


def host_of(data: Data) -> Server:
    """The Proxmox host that was chosen. Raises Server.DoesNotExist."""
    return Server.objects.select_related("nginx_server", "vm_host").get(pk=data["host"], is_proxmox=True)


def known_server(data: Data) -> Server | None:
    """The server of this name, if the inventory has it already."""
    return Server.objects.filter(name=data["name"]).first()


class NameForm(CleanText, forms.Form):
    """The two fields that nothing can compute."""

    name = DomainNameField(
        label=_("Name"),
        max_length=253,
        validators=[validate_server_name],
        help_text=_("The domain name of the new server, such as shop.example.org."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}),
    )
    host = forms.ModelChoiceField(
        label=_("Proxmox host"), queryset=Server.objects.filter(is_proxmox=True).order_by("name")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hosts = Server.objects.filter(is_proxmox=True).order_by("name")
        field = self.fields["host"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = hosts
        if len(found := list(hosts[:2])) == 1:
            field.initial = found[0].pk

    def clean(self) -> Data:
        """A name that is free, or that of a guest of this host without a container."""
        data = super().clean() or {}
        name, host = data.get("name"), data.get("host")
        if name and host:
            server = Server.objects.filter(name=name).first()
            if server is not None and (problem := why_not(host, server)):
                self.add_error("name", problem)
            if not Offer.objects.filter(host=host).exclude(templates=[]).exists():
                words = _t("Which templates %s has is not known yet. Open “Create a container” on its page.")
                self.add_error("host", words % host)
        try:
            secret_mark()
        except NoPasswordSecret as error:
            raise ValidationError(str(error)) from error
        return data


class ContainerForm(CreateForm):
    """How the container is made. Switched off, only the server's row of the inventory is."""

    only_with = dict.fromkeys(
        (
            *("template", "storage", "disk", "memory", "swap", "cores", "gateway", "bridge", "name_servers"),
            *("unprivileged", "onboot", "nesting"),
        ),
        "make_container",
    )
    # Django's way to leave out fields of the form that this one extends.
    name = None  # type: ignore[assignment]
    start = None  # type: ignore[assignment]
    ssh_keys = None  # type: ignore[assignment]
    make_container = forms.BooleanField(
        label=_("Create the container"),
        required=False,
        initial=True,
        help_text=_("Off: the server is only added to the inventory."),
    )
    unix_users = WordsField(
        label=_("Unix users"),
        initial="root",
        required=False,
        help_text=_("Whose keys the keymanager looks after; root should be among them."),
    )
    field_order = ("make_container", "address", "template", "storage", "disk", "memory", "swap", "cores")

    def __init__(self, *args: Any, actor: Actor, data_so_far: Data, **kwargs: Any) -> None:
        host = host_of(data_so_far)
        self.data_so_far = data_so_far
        super().__init__(*args, host=host, offer=Offer.objects.filter(host=host).first(), **kwargs)
        self.fields["template"].required = self.fields["storage"].required = False

    def clean_unix_users(self) -> list[str]:
        """Names that a system can have."""
        names: list[str] = self.cleaned_data["unix_users"]
        for name in names:
            try:
                validate_unix_name(name)
            except ValidationError as error:
                raise ValidationError(f"{name!r}: {error.message}") from error
        return names or ["root"]

    def clean(self) -> Data:
        """What a container needs; an address that is free now."""
        data = super().clean() or {}
        if data.get("make_container"):
            for name in ("template", "storage"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, _t("A container needs this."))
            if not data.get("address") and "address" not in self.errors:
                with suppress(NoAddress):
                    data["address"] = next_free(self.host)
                if not data.get("address"):
                    self.add_error("address", _t("No address is free: enter one."))
        if address := data.get("address"):
            self._check_address(address)
        return data

    def _check_address(self, address: str) -> None:
        problem = problem_with(self.host, address, of=known_server(self.data_so_far))
        if problem:
            with suppress(NoAddress):
                problem += " " + _t("Free is %s.") % next_free(self.host)
            self.add_error("address", problem)


def container_defaults(_actor: Actor, data: Data) -> Data:
    """The next free address, and what the host offers for everything else."""
    host = host_of(data)
    settings = settings_of(host)
    offer = Offer.objects.filter(host=host).first()
    found: Data = {
        "make_container": True,
        "gateway": gateway_of(host, settings),
        "bridge": settings.bridge,
        "name_servers": settings.name_servers,
        "unix_users": ["root"],
        "template": newest_template(offer.templates if offer else []),
        "storage": roomiest(offer.storages if offer else []),
    }
    server = known_server(data)
    if server is not None:
        found["unix_users"] = list(server.unix_users.values_list("name", flat=True)) or ["root"]
    with suppress(NoAddress):
        found["address"] = (server.internal_ip if server else "") or next_free(host)
    return found


def newest_template(templates: list[list[Any]]) -> str:
    """The newest Debian template, because the scripts are for Debian; else the first one."""
    names = sorted(str(volume) for volume, _size in templates)
    debian = [name for name in names if "debian-" in name]
    return (debian or names or [""])[-1] if debian else (names or [""])[0]


def roomiest(storages: list[list[Any]]) -> str:
    """The storage with the most free room."""
    return str(max(storages, key=lambda one: one[2] or 0)[0]) if storages else ""
