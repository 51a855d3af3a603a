"""What is chosen by itself for a new container: groups, script, domain, backup; and why something is not."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from backups.services.plans import backup_server
from fabrun.catalogue import catalogue
from fabrun.forms import field_for, is_left
from fabrun.loading import Parameter
from fabrun.values import NEED_KM
from forwarding.models import PortForward
from keymanager.models import Group, Key
from servers.models import Server
from wizards.declare import Data


def groups_named(names: Iterable[str]) -> list[Group]:
    """The groups of these names, in whatever case; names without a group are left out."""
    wanted = {name.strip().lower() for name in names}
    return [group for group in Group.objects.order_by("name") if group.name.lower() in wanted]


def default_groups() -> list[int]:
    """CREATEVM_DEFAULT_GROUPS ⚓: the new server becomes a member of these."""
    return [group.pk for group in groups_named(settings.CREATEVM_DEFAULT_GROUPS)]


def default_allowed() -> list[int]:
    """CREATEVM_DEFAULT_GROUPS_ALLOWED ⚓: these groups are allowed on the new server."""
    return [group.pk for group in groups_named(settings.CREATEVM_DEFAULT_GROUPS_ALLOWED)]


def why_no_script(name: str) -> str:
    """Why this Fabric script cannot be run, as a sentence; empty if it can."""
    if not name:
        return _("No script is chosen: set SETUP_FABRIC_SCRIPT, or choose one.")
    if name not in catalogue().scripts:
        return _("There is no script “%s”.") % name
    return ""


def script_arguments(script: str, typed: str) -> dict[str, Any]:
    """Arguments as typed, one `name=value` a line, in the types that the script wants.

    Raises ValueError with a sentence.
    """
    parameters = {item.name: item for item in catalogue().scripts[script].parameters}
    found: dict[str, Any] = {}
    for line in filter(None, (line.strip() for line in typed.splitlines())):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or name not in parameters:
            known = ", ".join(parameters) or _("none")
            words = _("“%(line)s” is no argument of %(script)s. It has: %(known)s.")
            raise ValueError(words % {"line": line[:80], "script": script, "known": known})
        said = _value(parameters[name], value)
        if said is False or not is_left(parameters[name], said):  # a “no” was typed here
            found[name] = said
    for item in parameters.values():
        if item.required and item.name not in found:
            words = _("%(script)s needs the argument %(name)s.")
            raise ValueError(words % {"script": script, "name": item.name})
    return found


def leaves_keys(data: Data) -> bool:
    """Whether the script is to be told that it leaves the fetching of keys alone, which it would set up by itself."""
    script = catalogue().scripts.get(data.get("script") or "")
    if script is None or data.get("fetch_keys") or NEED_KM not in script.markers:
        return False
    lines = (data.get("script_arguments") or "").splitlines()
    said = {line.partition("=")[0].strip() for line in lines}
    asks = any((item.name, item.kind) == ("keys", "bool") for item in script.parameters)
    return asks and "keys" not in said


_YES, _NO = {"yes", "true", "on", "1"}, {"no", "false", "off", "0"}


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.kind != "bool":
        try:
            return field_for(parameter).clean(text)
        except ValidationError as error:
            raise ValueError(f"{parameter.name}: {' '.join(error.messages)}") from error
    if text.lower() not in _YES | _NO:
        raise ValueError(_("%s is either yes or no.") % parameter.name)
    return text.lower() in _YES


def why_no_domain(host: Server) -> str:
    """Why no domain can be led to a guest of this host; empty if one can."""
    if host.nginx_server is None:
        return _("%s has no nginx server. Set one on its page first, or let this one become it.") % host
    return ""


def has_web_way(host: Server) -> bool:
    """Whether visitors from outside come to the host's nginx server by port 80."""
    nginx = host.nginx_server
    if nginx is None:
        return False
    rules = PortForward.objects.filter(host=host, destination=nginx, active=True, first_port__lte=80)
    return bool(nginx.external_ip) or rules.filter(last_port__gte=80).exists()


def why_no_backup(server: Server | None, allowed: Iterable[int]) -> str:
    """Why this backup server cannot copy a new guest on which these groups are allowed; empty if it can."""
    if server is None:
        return _("Which server is the backup server? Set BACKUP_SERVER, or choose one.")
    keys = Key.objects.filter(unix_user__server=server, unix_user__name="root")
    if not keys.exists():
        words = _("The keymanager knows no SSH key of root on %s, with which it logs in to the sources.")
        return words % server
    groups = Group.objects.filter(pk__in=list(allowed))
    members = groups.filter(member_servers=server) | groups.filter(member_keys__in=keys)
    if not members.exists():
        words = _("Root of %s is in none of the groups that are allowed, so it would not be let in.")
        return words % server
    return ""


def default_backup_server() -> Server | None:
    """BACKUP_SERVER ⚓, or the only backup server there is."""
    return backup_server()
