"""The gate for what people type about servers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.forms import BoundField
from django.http import QueryDict
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from pages.forms import CleanText, RowsField
from pages.widgets import CheckList
from servers.connect import reachable_by, suggested_connection, way_to
from servers.models import Server, Tag
from servers.rules import only_proxmox
from servers.validators import normal_folder, normal_name, validate_unix_name


@dataclass(frozen=True)
class Group:
    """Fields that belong together; scripts show `extra` only while the box `when` is ticked."""

    title: Any
    fields: list[BoundField]
    when: str = ""
    extra: Sequence[BoundField] = ()

    @property
    def names(self) -> list[str]:
        """The names of its fields."""
        return [field.name for field in self.fields]


GROUPS: tuple[tuple[Any, tuple[str, ...], str, tuple[str, ...]], ...] = (
    (_("Server"), ("name", "keymanager_name", "unix_users", "tags", "notes"), "", ()),
    (_("Where it runs"), ("is_vm",), "is_vm", ("vm_host", "nginx_of_host")),
    (
        _("How it is reached"),
        ("external_ip", "internal_ip", "ssh_connection", "backup_ssh_connection"),
        "",
        (),
    ),
    (
        _("Proxmox"),
        ("is_proxmox",),
        "is_proxmox",
        ("proxmox_node", "external_interface", "external_hostname_for_vms", "nginx_server"),
    ),
    (_("Samba"), ("samba_management",), "samba_management", ("samba_base_folder",)),
    (_("People"), ("owners",), "", ()),
)


class DomainNameField(forms.CharField):
    """A domain name in any spelling, brought into its one form."""

    def to_python(self, value: Any) -> str:
        """Lower case, punycode, no dot at the end."""
        return normal_name(super().to_python(value) or "")


class FolderField(forms.CharField):
    """An absolute folder, brought into its shortest form."""

    def to_python(self, value: Any) -> str:
        """Without doubled or last slashes."""
        return normal_folder(super().to_python(value) or "")


class WordsField(forms.CharField):
    """Several words, separated by commas or spaces; a list without duplicates, in the order typed."""

    joins = ", "

    def to_python(self, value: Any) -> Any:
        """The words."""
        return list(
            dict.fromkeys(word for word in re.split(r"[,\s]+", super().to_python(value) or "") if word)
        )

    def prepare_value(self, value: Any) -> Any:
        """As a person types it."""
        return value if isinstance(value, str) or value is None else ", ".join(str(word) for word in value)


class ServerForm(CleanText, forms.ModelForm):
    """Every setting of a server. Without scripts all fields are shown; which fit is checked when saved."""

    tags = WordsField(
        label=_("Tags"), required=False, help_text=_("Words to find it by, separated by commas.")
    )
    owners = RowsField(
        label=_("Owners"),
        queryset=User.objects.none(),
        required=False,
        widget=CheckList,
        help_text=_("See and operate this server; their keys are allowed on it."),
    )
    unix_users = WordsField(
        label=_("Unix users"),
        initial="root",
        required=False,
        help_text=_("Whose keys the keymanager looks after; root should be among them."),
    )
    nginx_of_host = forms.BooleanField(
        label=_("It is the nginx server of its host"),
        required=False,
        help_text=_("Of a Proxmox host that has none yet: domains then lead to its guests by this one."),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    nginx_guest: Server | None = None

    class Meta:
        model = Server
        fields = [
            "name", "keymanager_name", "external_ip", "internal_ip", "is_vm", "vm_host", "ssh_connection",
            "backup_ssh_connection", "is_proxmox", "proxmox_node", "external_interface",
            "external_hostname_for_vms", "nginx_server", "samba_management", "samba_base_folder", "notes",
        ]  # fmt: skip
        field_classes = {
            "name": DomainNameField,
            "external_hostname_for_vms": DomainNameField,
            "samba_base_folder": FolderField,
        }
        widgets = {"notes": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        server = self.instance
        made = server.pk is not None
        hosts = Server.objects.filter(Q(is_vm=False) | Q(is_proxmox=True) | Q(pk=server.vm_host_id))
        self._choices("vm_host", hosts.exclude(pk=server.pk))
        people = Q(is_active=True)
        if made:
            people |= Q(owned_servers=server)
            self._choices("nginx_server", server.guests.all())
            self.initial.setdefault("tags", list(server.tags.values_list("name", flat=True)))
            self.initial.setdefault("owners", list(server.owners.values_list("pk", flat=True)))
            self.initial.setdefault("version", server.version)
            del self.fields["unix_users"], self.fields["nginx_of_host"]
        else:
            del self.fields["version"]
            self._choices("nginx_server", Server.objects.filter(is_vm=False, is_proxmox=False, guests=None))
            self.fields["nginx_server"].help_text = _t(
                "One that is in the inventory, and runs on this host: it becomes its guest. Or add it afterwards."
            )
        self._choices("owners", User.objects.filter(people).distinct())
        for name in ("name", "ssh_connection", "backup_ssh_connection", "keymanager_name"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.fields["backup_ssh_connection"].help_text = _t(
            "As root@host, or -p 222 root@host. Empty: beside the backup server on one Proxmox host, its internal IP; "
            "else as from Gestion."
        )
        self.fields["external_hostname_for_vms"].help_text = _t(
            "Where its guests' forwarded ports are reached. Empty: the external IP, or without one the server's name."
        )
        self.fields["tags"].widget.attrs["list"] = "known-tags"
        self.fields["ssh_connection"].widget.attrs["placeholder"] = self.suggestion

    def _choices(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = queryset

    def show_version(self, version: int) -> None:
        """Show the form again as of this version: whoever saves now has seen what the other one did."""
        data = QueryDict(mutable=True)
        data.update(self.data)
        data["version"] = str(version)
        self.data = data

    def clean_unix_users(self) -> list[str]:
        """Names that a system can have."""
        names: list[str] = self.cleaned_data["unix_users"]
        for name in names:
            try:
                validate_unix_name(name)
            except ValidationError as error:
                raise ValidationError(f"{name!r}: {error.message}") from error
        return names

    def clean(self) -> dict[str, Any]:
        """Of a new server: what it is for its host, or another one for it. The service makes it so."""
        data = super().clean() or {}
        if self.instance.pk is not None:
            return data
        self.nginx_guest = data.pop("nginx_server", None)  # no guest of a host that is not there yet
        if self.nginx_guest and not data.get("is_proxmox"):
            self.add_error("nginx_server", only_proxmox())
        host = data.get("vm_host")
        if data.get("nginx_of_host") and not (data.get("is_vm") and host and host.is_proxmox):
            self.add_error("nginx_of_host", _t("Only a guest of a Proxmox host can be its nginx server."))
        return data

    @property
    def groups(self) -> Iterator[Group]:
        """The fields by what they are about."""
        for title, names, when, extra in GROUPS:
            fields = [self[name] for name in names if name in self.fields]
            yield Group(title, fields, when, [self[name] for name in extra if name in self.fields])

    @property
    def known_tags(self) -> list[str]:
        """Tags that other servers have."""
        return list(Tag.objects.values_list("name", flat=True))

    @property
    def typed_host(self) -> Server | None:
        """The host that is chosen so far."""
        pk = str(self["vm_host"].value() or "") if self["is_vm"].value() else ""
        return Server.objects.filter(pk=pk).first() if pk.isdecimal() and len(pk) < 19 else None

    @property
    def gateway(self) -> Server | None:
        """The host through which it is reached when the connection is left empty."""
        host = self.typed_host
        return host if host and self["internal_ip"].value() and reachable_by(host) else None

    @property
    def suggestion(self) -> str:
        """The connection string that fits what is typed so far."""
        return suggestion(self, self.typed_host)


def suggestion(form: forms.ModelForm, host: Server | None) -> str:
    """What the SSH connection could be, as far as what is typed so far tells; never raises."""
    typed = {name: str(form[name].value() or "") for name in ("name", "internal_ip", "external_ip")}
    try:
        return suggested_connection(
            host=host,
            internal_ip=typed["internal_ip"],
            external_ip=typed["external_ip"],
            name=normal_name(typed["name"]),
            panel_host=settings.GESTION_VM_NAME,
        )
    except ValueError:
        return ""


def way_in_words(server: Server) -> str:
    """How Gestion reaches the server, for the page; raises NoConnection."""
    address, gateway = way_to(server)
    if gateway is None:
        return address.text
    return _t("%(address)s through %(host)s") % {"address": address.text, "host": gateway}


class UnixUserForm(CleanText, forms.Form):
    """One more unix user."""

    name = forms.CharField(
        label=_("Name"),
        max_length=32,
        validators=[validate_unix_name],
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )


class DeleteForm(CleanText, forms.Form):
    """The second word before a server is deleted."""

    name = forms.CharField(
        label=_("Type the server's name"),
        max_length=253,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )


class AdoptForm(CleanText, forms.Form):
    """The paths that the person has seen and wants to be adopted."""

    paths = forms.MultipleChoiceField(label=_("Paths"))

    def __init__(self, *args: Any, foreign: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["paths"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - for the type checker
        field.choices = [(path, path) for path in foreign]
