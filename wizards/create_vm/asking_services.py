"""What is asked about what the server does: the domain under which it answers, and its backup."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from backups.folders import validate_destination
from backups.models import Backup
from backups.rules import problems
from backups.services.plans import suggested
from forwarding.hostname_claims import taken
from forwarding.models import HostnameForward
from forwarding.validators import normal_domain, validate_domain
from servers.forms import FolderField
from servers.models import Server
from servers.validators import host_name_of, normal_name
from wizards.create_vm import choices
from wizards.create_vm.asking_access import reachable
from wizards.create_vm.asking_machine import host_of, known_server
from wizards.declare import Data, StepForm

HTTP = 80  # where a hostname is served, if nobody says otherwise
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class DomainField(forms.CharField):
    """A domain in any spelling, brought into its one form."""

    def to_python(self, value: Any) -> str:
        """Lower case, punycode, no dot at the end."""
        return normal_domain(super().to_python(value) or "")


class ServicesForm(StepForm):
    """A domain and a backup, or none of them."""

    only_with = {
        **dict.fromkeys(("domain", "domain_port"), "forward_domain"),
        **dict.fromkeys(("backup_server", "backup_folder", "first_backup"), "backup"),
    }

    becomes_nginx = forms.BooleanField(
        label=_("It becomes the nginx server of its host"),
        required=False,
        help_text=_("Domains then lead to the host's guests by it. nginx must be on it, by the script, say."),
    )
    forward_domain = forms.BooleanField(label=_("Lead a domain to it"), required=False, initial=True)
    domain = DomainField(
        label=_("Domain"),
        max_length=253,
        required=False,
        validators=[validate_domain],
        help_text=_("Requests for it go through the host's nginx server."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    domain_port = forms.IntegerField(
        label=_("Port of the container"), min_value=1, max_value=65535, initial=80, required=False
    )
    backup = forms.BooleanField(label=_("Back it up"), required=False, initial=True)
    backup_server = forms.ModelChoiceField(
        label=_("Backup server"), queryset=Server.objects.order_by("name"), required=False
    )
    backup_folder = FolderField(
        label=_("Folder there"),
        max_length=1000,
        required=False,
        validators=[validate_destination],
        help_text=_("For this backup alone. It is made if it is not there."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    first_backup = forms.BooleanField(label=_("Run the first backup now"), required=False, initial=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.host = host_of(self.data_so_far)

    def clean(self) -> Data:
        """What each part needs, told by the field where it can be mended."""
        data = super().clean() or {}
        if data.get("becomes_nginx"):
            self._check_nginx()
        if data.get("forward_domain"):
            self._check_domain(data)
        if data.get("backup"):
            self._check_backup(data)
        return data

    def _check_nginx(self) -> None:
        nginx, server = self.host.nginx_server, known_server(self.data_so_far)
        if nginx is not None and nginx != server:
            words = _t("%(host)s has %(nginx)s as its nginx server already.")
            self.add_error("becomes_nginx", words % {"host": self.host, "nginx": nginx})
        elif not reachable(self.data_so_far):
            self.add_error("becomes_nginx", _t("There is nothing to log in to: no container is created."))

    def _check_domain(self, data: Data) -> None:
        becomes = data.get("becomes_nginx")
        if not becomes and (problem := choices.why_no_domain(self.host)):
            self.add_error("forward_domain", problem)
            return
        if becomes and data.get("domain_port") == HTTP:
            words = _t("As the nginx server it would send the requests to itself: another port than %d.")
            self.add_error("domain_port", words % HTTP)
        if not self.data_so_far.get("address"):
            self.add_error("forward_domain", _t("A domain leads to an address inside: enter one first."))
        for name in ("domain", "domain_port"):
            if not data.get(name) and name not in self.errors:
                self.add_error(name, _t("Enter one, or switch this part off."))
        if data.get("domain") and self.host.nginx_server:
            wanted = HostnameForward(host=self.host, domain=data["domain"])
            for _field, text in taken(wanted, self.host.nginx_server):
                self.add_error("domain", text)

    def _check_backup(self, data: Data) -> None:
        there: Server | None = data.get("backup_server")
        if not reachable(self.data_so_far):
            self.add_error("backup", _t("There is nothing to copy: no container is created."))
        if there is None:
            if "backup_server" not in self.errors:
                self.add_error("backup_server", choices.why_no_backup(None, ()))
            return
        if problem := choices.why_no_backup(there, self.data_so_far.get("groups_allowed") or ()):
            self.add_error("backup_server", problem)
        folder = data.get("backup_folder")
        if not folder:
            if "backup_folder" not in self.errors:
                self.add_error("backup_folder", _t("Enter one, or switch this part off."))
            return
        if found := self._folder_problems(there, folder):
            free = suggested(Server(name=normal_name(self.data_so_far["name"])), there)
            if free and not self._folder_problems(there, free.destination_folder):
                found = [*found, _t("Free is %s.") % free.destination_folder]
            self.add_error("backup_folder", " ".join(found))

    def _folder_problems(self, there: Server, folder: str) -> list[str]:
        """What is wrong with it. The new server has no row yet; only these rules are asked about it."""
        name = self.data_so_far["name"]
        source = known_server(self.data_so_far) or Server(name=normal_name(name))
        found = problems(Backup(source=source, destination=there, destination_folder=folder))
        return [str(text) for text in found.get("destination_folder", ())]


def services_defaults(_actor: Actor, data: Data) -> Data:
    """The server's name as the domain, and a folder of its own on the backup server."""
    host = host_of(data)
    there = choices.default_backup_server()
    name = normal_name(data["name"])
    copy = suggested(Server(name=name), there) if there else None
    copied = Backup.objects.filter(source__name=name, destination=there, source_folder="/")
    can = reachable(data) and not choices.why_no_backup(there, data.get("groups_allowed") or ())
    backed_up = can and not copied.exists()
    led = HostnameForward.objects.filter(
        host=host, domain=host_name_of(name), destinations__server__name=name
    )
    domain = "." in name and bool(data.get("address")) and not choices.why_no_domain(host)
    return {
        "becomes_nginx": False,
        "forward_domain": domain and not led.exists(),  # one that was there before has its hostname still
        "domain": host_name_of(name),
        "domain_port": 80,
        "backup": backed_up,
        "backup_server": there.pk if there else None,
        "backup_folder": copy.destination_folder if copy else "",
        "first_backup": backed_up,
    }
