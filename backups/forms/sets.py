"""What people type about a set."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from backups.models import Backup, BackupSet
from backups.services.sets import FIELDS
from pages.forms import CleanText


class BackupSetForm(CleanText, forms.ModelForm):
    """A set. The order of its backups is that of the numbers typed beside them."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = BackupSet
        fields = FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        backups = Backup.objects.select_related("source", "destination").order_by(
            "source__name", "source_folder"
        )
        places = {}
        if self.instance.pk:
            self.initial["version"] = self.instance.version
            places = dict(self.instance.members.values_list("backup", "position"))
        self.places = []
        for backup in backups:
            name = f"place_{backup.pk}"
            self.fields[name] = forms.IntegerField(
                label=f"{backup} → {backup.destination}",
                required=False,
                min_value=1,
                max_value=9999,
                initial=places.get(backup.pk),
            )
            self.places.append((name, backup))

    @property
    def place_fields(self) -> list[forms.BoundField]:
        """The numbers, one field for each backup; those that are in the set first, in its order."""
        fields = [self[name] for name, _backup in self.places]
        return sorted(fields, key=lambda field: (field.initial is None, field.initial or 0))

    def clean(self) -> dict[str, Any]:
        """The backups in their order."""
        data = super().clean() or {}
        numbered = [(data[name], backup) for name, backup in self.places if data.get(name)]
        data["backups"] = [
            backup for _number, backup in sorted(numbered, key=lambda pair: (pair[0], pair[1].pk))
        ]
        if not data["backups"] and not any(name in self.errors for name, _backup in self.places):
            self.add_error(None, _("Give a number to at least one backup: it says in which order they run."))
        if self.instance.pk and data.get("version") is None:
            data["version"] = BackupSet.objects.values_list("version", flat=True).get(pk=self.instance.pk)
        return data
