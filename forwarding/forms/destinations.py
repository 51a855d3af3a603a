"""The servers that answer for a hostname, as rows of a form."""

from collections.abc import Container, Iterable
from itertools import zip_longest
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _

from forwarding.models import HostnameDestination
from forwarding.models.hostnames import MOST_DESTINATIONS, MOST_WEIGHT
from pages.sent import Sent
from servers.models import Server

Row = tuple[str, str, str]  # a server's number, its weight, whether it is a spare one: as typed
PARTS = ("", "_weight", "_spare")  # of a row, as they are sent after the field's name
NO, YES = {"", "no", "false", "0"}, {"yes", "true", "1", "on"}
BLANK_ROWS = 2


class DestinationRows(forms.Widget):
    """Rows of three fields, each sent as often as there are rows: a server, its weight, whether it is spare."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Row]:
        """The rows in which a server was chosen; of a program also those that say something and have none."""
        servers, weights, spares = (_list(data, name + part) for part in PARTS)
        rows = list(zip_longest(servers, weights, spares, fillvalue=""))
        return [row for row in rows if row[0].strip() or (isinstance(data, Sent) and not _is_blank(row))]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Whether no row was sent at all."""
        return name not in data

    def as_sent(self, name: str, rows: Iterable[Row] | None) -> dict[str, list[str]]:
        """The rows as a browser sends them: under the same names, however many there are."""
        return {name + part: [row[place] for row in rows or ()] for place, part in enumerate(PARTS)}

    def rest_of(
        self, name: str, sent: QueryDict, named: Container[str], before: Iterable[Row]
    ) -> dict[str, list[str]]:
        """What a program did not name of rows of which it named a part: each server's keeps what it was."""
        kept = {row[0]: row for row in before}
        servers = _list(sent, name) if name in named else list(kept)
        rows = [kept.get(server.strip(), (server, "", "")) for server in servers]
        return {part: texts for part, texts in self.as_sent(name, rows).items() if part not in named}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        """Nothing: templates/forwarding/_hostname_form.html lays out the rows."""
        return ""


def _is_blank(row: Row) -> bool:
    """Whether it is as the page shows it first."""
    server, weight, spare = (text.strip() for text in row)
    return not server and weight in {"", "1"} and spare.lower() in NO


def _list(data: Any, name: str) -> list[str]:
    if hasattr(data, "getlist"):
        return [str(value) for value in data.getlist(name)]
    value = data.get(name, [])
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


class DestinationsField(forms.Field):
    """The servers that answer for a hostname; gives unsaved HostnameDestinations."""

    widget = DestinationRows

    def clean(self, value: Any) -> list[HostnameDestination]:
        """See Field.clean."""
        rows: list[Row] = value or []
        if not rows:
            raise ValidationError(_("Choose a server that answers."))
        if len(rows) > MOST_DESTINATIONS:
            raise ValidationError(_("At most %d servers answer for one hostname.") % MOST_DESTINATIONS)
        numbers = {int(pk) for pk, _weight, _spare in rows if _is_number(pk, 18)}
        servers = Server.objects.select_related("vm_host").in_bulk(numbers)
        return [_destination(servers, row) for row in rows]


def _destination(servers: dict[int, Server], row: Row) -> HostnameDestination:
    pk, weight, spare = (text.strip() for text in row)
    server = servers.get(int(pk)) if _is_number(pk, 18) else None
    if server is None:
        raise ValidationError(_("Choose servers of the inventory."))
    if not _is_number(weight or "1", 3) or not 1 <= int(weight or "1") <= MOST_WEIGHT:
        raise ValidationError(
            _("The weight of %(server)s is a number from 1 to %(most)s.")
            % {"server": server, "most": MOST_WEIGHT}
        )
    if spare.lower() not in NO | YES:
        raise ValidationError(_("Spare or not is said by “yes” or “no”."))
    return HostnameDestination(server=server, weight=int(weight or "1"), backup=spare.lower() in YES)


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= digits
