"""What people choose about a restore."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from backups.folders import RUNNING_SYSTEM, validate_target
from backups.forms.plans import FolderField
from backups.models import Backup
from pages.forms import CleanText
from pages.sent import was_named
from servers.folders import inside
from servers.models import Server

ORIGIN, ELSEWHERE = "origin", "elsewhere"


class RestoreForm(CleanText, forms.Form):
    """Where to, and how."""

    where = forms.ChoiceField(
        label=_("Where to"),
        choices=[(ORIGIN, _("to where it was")), (ELSEWHERE, _("into another folder, or to another server"))],
        widget=forms.RadioSelect,
        initial=ORIGIN,
    )
    target = forms.ModelChoiceField(
        Server.objects.none(), label=_("Server"), required=False, help_text=_("Empty: the one it came from.")
    )
    folder = FolderField(
        label=_("Folder there"),
        required=False,
        max_length=1000,
        help_text=_("It comes into this folder, under its own name. The folder is made if it is not there."),
    )
    checksum = forms.BooleanField(
        label=_("compare contents"),
        required=False,
        initial=True,
        help_text=_("Off, a file with the same size and date counts as the same. That is faster."),
    )
    delete_extra = forms.BooleanField(
        label=_("delete what is not in the copy"),
        required=False,
        help_text=_("In the folders that are restored. What the backup leaves out stays."),
    )

    def __init__(
        self, *args: Any, backup: Backup, targets: list[Server], elsewhere: str = "", **kwargs: Any
    ) -> None:
        """`elsewhere`: why this copy comes to no “where it was”; empty where it may."""
        self.backup, self.elsewhere = backup, elsewhere
        super().__init__(*args, **kwargs)
        if elsewhere:
            self.fields["where"].initial = ELSEWHERE
            self.fields["where"].help_text = elsewhere
            self.fields["target"].help_text = _("Empty: %s") % backup.source
        servers = Server.objects.filter(pk__in=[target.pk for target in targets]).order_by("name")
        self.fields["target"].queryset = servers  # type: ignore[attr-defined]
        self.fields["folder"].widget.attrs |= {"placeholder": "/restored", "spellcheck": "false"}

    def clean_folder(self) -> str:
        """A folder that can be one."""
        folder: str = self.cleaned_data["folder"]
        if folder:
            validate_target(folder)
        return folder

    def clean(self) -> dict[str, Any]:
        """Another place needs a folder; where it was has one."""
        data = super().clean() or {}
        if data.get("where") == ORIGIN and self.elsewhere:
            self.add_error("where", self.elsewhere)
        elif data.get("where") == ORIGIN:
            for name in ("target", "folder"):
                if data.get(name) and was_named(self, name):
                    self.add_error(name, _("It counts only where it does not go to where it was."))
            data["target"], data["folder"] = self.backup.source, ""
        elif "folder" not in self.errors and not data.get("folder"):
            self.add_error("folder", _("Enter the folder into which it comes."))
        data["target"] = data.get("target") or self.backup.source
        folder = data.get("folder")
        if folder and any(inside(folder, tree) for tree in RUNNING_SYSTEM):
            self.add_error("folder", ValidationError(_("%s is the kernel's own.") % folder))
        return data
