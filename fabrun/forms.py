"""The gate for what people type when they run a script."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from fabrun.loading import Parameter, Script
from fabrun.values import NEED_USER
from pages.forms import CleanText, RowsField
from pages.widgets import CheckList
from servers.models import Server, Tag
from servers.validators import validate_unix_name

PREFIX = "arg_"  # of the fields that are the script's own arguments
MOST_SECONDS = 24 * 3600
USUAL_SECONDS = 1800


class RunForm(CleanText, forms.Form):
    """On which servers, with which arguments. An empty choice is refused: it never means “all”."""

    servers = RowsField(label=_("Servers"), queryset=Server.objects.none(), required=False, widget=CheckList)
    tags = RowsField(
        label=_("All servers with the tag"),
        queryset=Tag.objects.none(),
        required=False,
        widget=CheckList,
        to_field_name="name",
    )
    seconds = forms.IntegerField(
        label=_("Longest time, in seconds"), min_value=1, max_value=MOST_SECONDS, initial=USUAL_SECONDS
    )

    def __init__(self, data: Any, *, script: Script, user: User, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        self.script = script
        self.visible = Server.objects.visible_to(user).order_by("name")
        tags = Tag.objects.filter(servers__in=self.visible).distinct()
        self._choices("servers").queryset = self.visible
        self._choices("tags").queryset = tags
        if not tags.exists():
            del self.fields["tags"]
        if NEED_USER in script.markers:
            self.fields["unix_user"] = forms.CharField(
                label=_("Unix user"), max_length=32, validators=[validate_unix_name]
            )
        for parameter in script.parameters:
            self.fields[PREFIX + parameter.name] = field_for(parameter)
        self.order_fields(
            ["servers", "tags", "unix_user", *(PREFIX + item.name for item in script.parameters)]
        )

    def _choices(self, name: str) -> RowsField:
        field = self.fields[name]
        if not isinstance(field, RowsField):
            raise TypeError(name)
        return field

    def clean(self) -> dict[str, Any]:
        """At least one server, whichever way it was chosen."""
        data = super().clean() or {}
        if self.errors.keys() & {"servers", "tags"}:
            return data
        wanted = Q(pk__in=[server.pk for server in data.get("servers") or ()])
        wanted |= Q(tags__in=list(data.get("tags") or ()))
        self.chosen = list(self.visible.filter(wanted).distinct())
        if not self.chosen:
            raise ValidationError({"servers": _("Choose the servers to run it on.")})
        return data

    @property
    def arguments(self) -> dict[str, Any]:
        """The script's own arguments by their names, in their types; without those that are left at None."""
        values = {item: self.cleaned_data.get(PREFIX + item.name) for item in self.script.parameters}
        return {item.name: value for item, value in values.items() if not is_left(item, value)}


def is_left(item: Parameter, value: Any) -> bool:
    """Whether it stays at its default, because nothing was given: also a box of one whose default is None."""
    return value is None or (item.default is None and not item.required and (value == "" or value is False))


def field_for(parameter: Parameter) -> forms.Field:
    """A field for one argument of a script."""
    options: dict[str, Any] = {
        "label": parameter.name.replace("_", " ").capitalize(),
        "required": parameter.required,
        "initial": parameter.default,
    }
    if parameter.kind == "bool":
        return forms.BooleanField(**{**options, "required": False})
    if parameter.kind == "int":
        return forms.IntegerField(**options)
    if parameter.kind == "float":
        return forms.FloatField(**options)
    return forms.CharField(**options, max_length=4000)
