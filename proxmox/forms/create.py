"""What people type about a container to be created."""

import re
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from keymanager.bad_key import BadKey
from keymanager.forms import KeysInput
from keymanager.openssh import parse_keys
from keymanager.openssh_word import check_by_openssh
from pages.answers import PREVIEW
from pages.forms import CleanText
from pages.templatetags.pages_tags import binary_size
from proxmox.models import Creation, Offer
from proxmox.services.create import Wanted
from servers.forms import DomainNameField, WordsField
from servers.models import Server
from servers.validators import validate_interface, validate_ip, validate_server_name

MOST_KEYS = 200
_VOLUME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}:vztmpl/[A-Za-z0-9][A-Za-z0-9._+~-]{0,200}")
_STORAGE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")


def validate_machine(value: str) -> None:
    """An address that one machine can have; what is no address at all, the field itself refuses."""
    with suppress(ValueError):
        ip_address(value)
        validate_ip(value)


class IPsField(WordsField):
    """Some addresses, separated by commas or spaces."""

    def to_python(self, value: Any) -> Any:
        """The addresses, each in its one form."""
        found = []
        for word in super().to_python(value):
            try:
                found.append(str(ip_address(word)))
            except ValueError as error:
                raise ValidationError(_("%(word)s is no IP address.") % {"word": word}) from error
        return list(dict.fromkeys(found))


class KeysField(forms.CharField):
    """Public SSH keys, one a line; gives them as lines, each once."""

    widget = KeysInput(attrs={"rows": 3, "spellcheck": "false", "class": "mono", "wrap": "off"})

    def to_python(self, value: Any) -> str:
        """The lines."""
        text = super().to_python(value) or ""
        if not text.strip():
            return ""
        try:
            keys = parse_keys(text)
        except BadKey as error:
            raise ValidationError(str(error)) from error
        if any(key.options for key in keys):
            raise ValidationError(
                _("Proxmox takes keys without options. Those with options belong into the keymanager.")
            )
        if len(keys) > MOST_KEYS:
            raise ValidationError(_("That are more than %d keys.") % MOST_KEYS)
        try:
            for key in keys:
                check_by_openssh(key)
        except BadKey as error:
            raise ValidationError(str(error)) from error
        return "\n".join(dict.fromkeys(key.line for key in keys))


def _tick(label: Any, help_text: Any, *, on: bool) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, required=False, initial=on)


def _size(label: Any, lowest: int, highest: int, usual: int, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=lowest, max_value=highest, initial=usual, help_text=help_text
    )


class CreateForm(CleanText, forms.Form):
    """A container on one host; what can be chosen is what the host offered when it was last read."""

    beside = {PREVIEW}

    name = DomainNameField(
        label=_("Name"),
        max_length=253,
        validators=[validate_server_name],
        help_text=_(
            "A server of the inventory that has no container yet, or a new one, which is added. The container "
            "itself has hyphens where the name has underscores, because host names have none."
        ),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "list": "known-servers", "autofocus": True}
        ),
    )
    template = forms.ChoiceField(label=_("Template"), validators=[RegexValidator(_VOLUME)])
    storage = forms.ChoiceField(label=_("Storage"), validators=[RegexValidator(_STORAGE)])
    disk = _size(_("Disk (GiB)"), 1, 16_384, 8)
    memory = _size(_("Memory (MiB)"), 64, 4_194_304, 1024)
    swap = _size(_("Swap (MiB)"), 0, 4_194_304, 512)
    cores = _size(_("Cores"), 1, 512, 1)
    address = forms.GenericIPAddressField(
        label=_("Address"),
        required=False,
        unpack_ipv4=True,
        validators=[validate_machine],
        help_text=_("On the host's internal network. Empty: the next free one."),
    )
    gateway = forms.GenericIPAddressField(
        label=_("Gateway"), required=False, unpack_ipv4=True, validators=[validate_machine]
    )
    bridge = forms.CharField(
        label=_("Bridge"), max_length=15, required=False, validators=[validate_interface]
    )
    name_servers = IPsField(
        label=_("Name servers"),
        required=False,
        max_length=200,
        help_text=_("Addresses, separated by commas. Empty: those of the host."),
    )
    ssh_keys = KeysField(
        label=_("More SSH keys for root"),
        required=False,
        max_length=200_000,
        help_text=_("One a line. The panel's own key is always added."),
    )
    unprivileged = _tick(
        _("Unprivileged"), _("Its root is an ordinary user of the host. Safer; keep it."), on=True
    )
    onboot = _tick(_("Start at boot"), _("When the host starts."), on=True)
    nesting = _tick(
        _("Nesting"), _("For Docker, or newer systemd, inside. Lets it see more of the host."), on=False
    )
    start = _tick(_("Start now"), _("As soon as it is created."), on=True)

    def __init__(self, *args: Any, host: Server, offer: Offer | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.host = host
        templates = offer.templates if offer else []
        storages = offer.storages if offer else []
        self._choices(
            "template",
            [(volid, f"{volid.rpartition('/')[2]} · {binary_size(size)}") for volid, size in templates],
        )
        self._choices("storage", list(_storages(storages)))
        for name in ("address", "gateway", "bridge", "name_servers"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        if offer and offer.bridges:
            self.fields["bridge"].widget.attrs["list"] = "known-bridges"

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        """That gateway and address are of one IP version."""
        data = super().clean() or {}
        address, gateway = data.get("address") or self.host.internal_ip, data.get("gateway")
        if address and gateway and ip_address(address).version != ip_address(gateway).version:
            self.add_error("gateway", _("The gateway has another IP version than the address."))
        return data

    def wanted(self) -> Wanted:
        """What the form says, for the service."""
        return Wanted(host=self.host, **self.cleaned_data)

    def refuse(self, errors: dict[str, list[str]]) -> None:
        """Show what the service or Proxmox said, by the field."""
        for name, messages in errors.items():
            self.add_error(name if name in self.fields else None, [str(text) for text in messages])


def _storages(storages: list[list[Any]]) -> Iterator[tuple[str, str]]:
    for name, kind, free in storages:
        words = _t("%(name)s · %(kind)s · %(free)s free")
        yield name, words % {"name": name, "kind": kind, "free": binary_size(free)}


def data_of(creation: Creation) -> dict[str, Any]:
    """What somebody would have typed for this create."""
    names = [
        "template",
        "storage",
        "disk",
        "memory",
        "swap",
        "cores",
        "address",
        "gateway",
        "bridge",
        "ssh_keys",
    ]
    ticks = ["unprivileged", "onboot", "nesting", "start"]
    data = {name: getattr(creation, name) or "" for name in names}
    data |= {name: "on" for name in ticks if getattr(creation, name)}
    return {**data, "name": creation.server.name, "name_servers": ", ".join(creation.name_servers),
            "swap": creation.swap}  # fmt: skip
