"""What people type about a backup."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from backups.models import Backup, Level
from backups.services.plans import backup_server, suggested
from backups.ways import NoWay, way_from
from pages.form_errors import RefusableForm
from pages.forms import CleanText
from servers.models import Server
from servers.validators import normal_folder

KEEPS = tuple(f"keep_{level.value}" for level in Level)
ENDS = ("source", "destination")
DEFAULTS = (*KEEPS, "shrink_limit", "verify")  # what a program need not name


class FolderField(forms.CharField):
    """An absolute folder, brought into its shortest form. A space at its end stays: without it, it is another one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def to_python(self, value: Any) -> str:
        """Without doubled or last slashes, and without spaces that belong to no name."""
        text = (super().to_python(value) or "").lstrip()
        shorter = text.rstrip()
        return normal_folder(shorter if shorter.endswith("/") else text)


class BackupForm(RefusableForm, CleanText, forms.ModelForm):
    """A backup; where its copies go is asked only when it is made."""

    source_folder = FolderField(
        label=_("Folder"), max_length=1000, initial="/", help_text=_("What is copied, such as / or /srv.")
    )
    destination_folder = FolderField(
        label=_("Folder there"),
        max_length=1000,
        required=False,
        help_text=_("A folder for this backup alone. Empty: computed."),
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Backup
        fields = (
            *(
                "source",
                "source_folder",
                "as_root",
                "destination",
                "destination_folder",
                "exclude_proc_sys",
                "excludes",
            ),
            *("one_file_system", "active", *KEEPS, "shrink_limit", "verify", "note"),
        )
        widgets = {"excludes": forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = Server.objects.order_by("name")  # type: ignore[attr-defined]
        if self.instance.pk:
            self.initial["version"] = self.instance.version
            del self.fields["destination"], self.fields["destination_folder"]
        else:
            self.fields["destination"].queryset = Server.objects.order_by("name")  # type: ignore[attr-defined]
            self.initial.setdefault("destination", backup_server())
        if not self.instance.as_root and self._goes_as_root():
            del self.fields["as_root"]  # there is nothing to choose
        for name in DEFAULTS:
            if not self.instance.pk:  # a program that does not name them gets the defaults
                self.fields[name].required = False
        self.fields["active"].help_text = _(
            "Switched off, it runs only by hand or in a set, and keeps its copies."
        )
        self.fields["exclude_proc_sys"].help_text = _(
            "Of a whole server: what is there only while it runs. Of another folder nothing is left out by this."
        )
        self.fields["shrink_limit"].help_text = _(
            "When the folder has lost more of its files or bytes than this, the run is held before any copy is given "
            "up. 100: only where nothing comes from it any more."
        )

    def _goes_as_root(self) -> bool:
        """Whether it is known already which way it goes, and that this leads to root."""
        ends = [getattr(self.instance, f"{name}_id") and getattr(self.instance, name) for name in ENDS]
        if not self.instance.pk:
            ends = [self.initial.get(name) for name in ENDS]
        if (self.is_bound and not self.instance.pk) or not all(ends):
            return False
        try:
            return way_from(ends[1], ends[0])[-1].address.user == "root"
        except NoWay:
            return False

    def clean(self) -> dict[str, Any]:
        """Fill in what was left empty on a new backup."""
        data = super().clean() or {}
        if self.instance.pk:
            if data.get("version") is None:
                data["version"] = self.instance.version
            return data
        for name in DEFAULTS:
            if data.get(name) in {None, ""} and name not in self.errors:
                data[name] = getattr(Backup(), name)
        if not data.get("destination_folder") and "destination_folder" not in self.errors:
            made = suggested(data["source"], data.get("destination")) if data.get("source") else None
            data["destination_folder"] = made.destination_folder if made else ""
        return data

    def filled(self) -> Backup:
        """The backup as it was typed, not saved; a copy where there is one already."""
        backup = Backup.objects.get(pk=self.instance.pk) if self.instance.pk else Backup()
        for name, value in self.cleaned_data.items():
            if name != "version":
                setattr(backup, name, value)
        return backup

    def _post_clean(self) -> None:
        """Nothing: the service checks the row, in the transaction that saves it."""


class TypedNameForm(CleanText, forms.Form):
    """The name of what is deleted, typed again."""

    typed = forms.CharField(label=_("Type it again"), max_length=1300)

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(*args, **kwargs)
        self.fields["typed"].help_text = _("To be sure: %s") % name
        self.fields["typed"].widget.attrs["autocomplete"] = "off"

    def clean_typed(self) -> str:
        """Exactly the name."""
        text: str = self.cleaned_data["typed"]
        if text != self.name:
            raise ValidationError(_("This is not %s.") % self.name)
        return text
