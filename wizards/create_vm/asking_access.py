"""What is asked about the ways in: the forwarded port, connection strings, keys and groups, the first script."""

from ipaddress import ip_address
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from fabrun.catalogue import catalogue
from keymanager.models import Group
from pages.forms import RowsField
from pages.widgets import CheckList
from servers.models import Contact, Server
from servers.validators import validate_connection
from wizards.create_vm import choices
from wizards.create_vm.asking_machine import host_of, known_server
from wizards.create_vm.connections import (
    connection_from,
    has_way_in,
    leads_through,
    port_led_to,
    port_of,
    ports_in_use,
)
from wizards.declare import Data, StepForm

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def reachable(data: Data) -> bool:
    """Whether there will be something to log in to: a container that is made, or a server that was reached."""
    server = known_server(data)
    return bool(data.get("make_container")) or (server is not None and server.contact == Contact.OK)


class AccessForm(StepForm):
    """Who gets in, and how."""

    only_with = {"ssh_port": "forward_ssh", "script": "setup", "script_arguments": "setup"}

    forward_ssh = forms.BooleanField(
        label=_("Forward a port of the host to its SSH"), required=False, initial=True
    )
    ssh_port = forms.IntegerField(label=_("Port of the host"), min_value=1, max_value=65535, required=False)
    ssh_connection = forms.CharField(
        label=_("SSH connection from Gestion"),
        max_length=300,
        required=False,
        validators=[validate_connection],
        help_text=_("As root@host, or -p 222 root@host. Empty: through the host, to the address inside."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    backup_connection = forms.CharField(
        label=_("SSH connection from the backup server"),
        max_length=300,
        required=False,
        validators=[validate_connection],
        help_text=_(
            "The same, as the backup server sees it. Empty: on the same Proxmox host the address inside, else as from "
            "Gestion."
        ),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    own = forms.BooleanField(
        label=_("My keys let me in"),
        required=False,
        initial=True,
        help_text=_("You become the server's owner: your SSH keys are allowed on it."),
    )
    groups_allowed = RowsField(
        label=_("Groups that are allowed on it"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=CheckList,
    )
    groups = RowsField(
        label=_("Groups that it is a member of"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=CheckList,
    )
    fetch_keys = forms.BooleanField(
        label=_("Have it fetch its keys"),
        required=False,
        initial=True,
        help_text=_("From then on it follows every change of keys and groups."),
    )
    refuse_passwords = forms.BooleanField(
        label=_("Then let SSH take no passwords"),
        required=False,
        initial=True,
        help_text=_(
            "Once a login by key works. The console still takes root's password. The server's page takes it back."
        ),
    )
    setup = forms.BooleanField(label=_("Run a script on it"), required=False, initial=True)
    script = forms.ChoiceField(label=_("Script"), required=False)
    script_arguments = forms.CharField(
        label=_("Arguments"),
        required=False,
        max_length=10_000,
        help_text=_("One a line, as name=value. Those that are left out are as the script has them."),
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.host = host_of(self.data_so_far)
        field = self.fields["script"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = [("", "–"), *((name, name) for name in sorted(catalogue().scripts))]
        if self.actor.user is None:
            del self.fields["own"]

    def clean(self) -> Data:
        """Everything that depends on something else, each told by the field where it can be mended."""
        data = super().clean() or {}
        self._check_port(data)
        for name in ("ssh_connection", "backup_connection"):
            self._check_connection(data, name)
        self._check_keys(data)
        self._check_setup(data)
        return data

    def _check_port(self, data: Data) -> None:
        if not data.get("forward_ssh"):
            return
        address, port = self.data_so_far.get("address") or "", data.get("ssh_port")
        if not address:
            self.add_error(
                "forward_ssh", _t("A port leads to an address inside: enter one, two steps before.")
            )
        elif ip_address(address).version != 4:
            self.add_error("forward_ssh", _t("Its address is an IPv6 one; ports are forwarded by IPv4."))
        elif not port and "ssh_port" not in self.errors:
            self.add_error("ssh_port", _t("Which port? Enter one, or switch this part off."))
        elif port in ports_in_use(self.host, but_for=known_server(self.data_so_far)):
            free = port_of(self.host, address)
            words = _t("Port %(port)s of %(host)s is in use. Free is %(free)s.")
            self.add_error("ssh_port", words % {"port": port, "host": self.host, "free": free})

    def _check_connection(self, data: Data, name: str) -> None:
        port = leads_through(self.host, data.get(name) or "")
        if port is None or (data.get("forward_ssh") and port == data.get("ssh_port")):
            return
        if port == port_led_to(self.host, known_server(self.data_so_far)):
            return
        if "ssh_port" not in self.errors:
            words = _t(
                "Port %(port)s of %(host)s does not lead to it: forward that port, or leave this empty."
            )
            self.add_error(name, words % {"port": port, "host": self.host})

    def _check_keys(self, data: Data) -> None:
        if data.get("fetch_keys") and not self._can_log_in(data):
            self.add_error("fetch_keys", self._no_way(data))
        if not data.get("refuse_passwords"):
            return
        if not self.data_so_far.get("make_container"):
            self.add_error("refuse_passwords", _t("This is for a new container, and none is created."))
        elif not self._can_log_in(data):
            self.add_error("refuse_passwords", self._no_way(data))

    def _check_setup(self, data: Data) -> None:
        if not data.get("setup"):
            return
        if not self._can_log_in(data):
            self.add_error("setup", self._no_way(data))
        if "script" in self.errors:
            return
        if problem := choices.why_no_script(data.get("script") or ""):
            self.add_error("script", problem)
            return
        try:
            choices.script_arguments(data["script"], data.get("script_arguments") or "")
        except ValueError as error:
            self.add_error("script_arguments", str(error))

    def _can_log_in(self, data: Data) -> bool:
        address = self.data_so_far.get("address") or ""
        return reachable(self.data_so_far) and has_way_in(
            self.host, address, data.get("ssh_connection") or ""
        )

    def _no_way(self, data: Data) -> str:
        if not reachable(self.data_so_far):
            return _t("There is nothing to log in to: no container is created.")
        words = _t("Gestion has no way in: neither a connection to it, nor one to %s.")
        return words % self.host


def access_defaults(actor: Actor, data: Data) -> Data:
    """The forwarded port and both connection strings ⚓, the groups and the script of the settings."""
    host = host_of(data)
    address = data.get("address") or ""
    server: Server | None = known_server(data)
    led = port_led_to(host, server)
    free = port_of(host, address) if address else None
    port = led or free
    there = choices.default_backup_server()
    backup_host = there.vm_host.name if there and there.vm_host else ""
    connection = connection_from(settings.GESTION_VM_NAME, host, data["name"], address, port)
    can = reachable(data) and has_way_in(host, address, connection)
    return {
        "forward_ssh": free is not None and led is None,
        "ssh_port": free,
        "ssh_connection": (server.ssh_connection if server else "") or connection,
        "backup_connection": (server.backup_ssh_connection if server else "")
        or connection_from(backup_host, host, data["name"], address, port),
        "own": actor.user is not None,
        "groups": choices.default_groups(),
        "groups_allowed": choices.default_allowed(),
        "fetch_keys": can,
        "refuse_passwords": can and bool(data.get("make_container")),
        "setup": can and not choices.why_no_script(settings.SETUP_FABRIC_SCRIPT),
        "script": settings.SETUP_FABRIC_SCRIPT,
        "script_arguments": "\n".join(
            f"{name}={value}" for name, value in settings.SETUP_FABRIC_ARGUMENTS.items()
        ),
    }
