"""What people type about a share."""

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pages.form_errors import RefusableForm
from pages.forms import CleanText
from samba.models import Share
from samba.names import LONGEST_NAME, validate_share_folder, validate_share_name
from samba.services.shares import CHANGEABLE
from servers.models import Server


class SambaServerField(forms.ModelChoiceField):
    """A Samba server with its base folder."""

    def label_from_instance(self, obj: Any) -> str:
        """As "files1 · /srv/shares"."""
        return f"{obj.name} · {obj.samba_base_folder}"


class ShareForm(RefusableForm, CleanText, forms.ModelForm):
    """A share; server and folder are asked only when it is made."""

    server = SambaServerField(
        Server.objects.filter(samba_management=True),
        label=_("Server"),
        error_messages={"invalid_choice": _("Choose a server on which Samba is managed.")},
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Share
        fields = ("server", "name", "folder", "adopt", "read_only", "comment")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].validators = []  # clean_name says it, once
        self.fields["name"].widget.attrs["maxlength"] = LONGEST_NAME
        if self.instance.pk:
            for name in ("server", "folder"):
                del self.fields[name]
            self.initial["version"] = self.instance.version
            return
        self.fields["server"].queryset = Server.objects.filter(samba_management=True).order_by("name")  # type: ignore[attr-defined]
        self.fields["folder"].required = False
        # What lies on disk may end with a space
        self.fields["folder"].strip = False  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        """As Unicode composes it, as Windows and macOS ask for it; a name is looked at here, and said once."""
        name = unicodedata.normalize("NFC", str(self.cleaned_data["name"]))
        validate_share_name(name)
        return name

    def clean(self) -> dict[str, Any]:
        """The folder as it is meant; the rest between fields the service checks, in the transaction that saves it."""
        data = super().clean() or {}
        if "folder" in self.fields and "folder" in data:
            folder = str(data["folder"])
            data["folder"] = (folder if data.get("adopt") else folder.strip()).removesuffix("/")
            if data["folder"]:
                try:
                    validate_share_folder(data["folder"])
                except ValidationError as error:
                    self.add_error("folder", error)
        if self.instance.pk and data.get("version") is None:
            data["version"] = self.instance.version
        return data

    def filled(self) -> Share:
        """The share as it was typed, not saved; a copy where there is one already."""
        share = (
            Share.objects.select_related("server").get(pk=self.instance.pk) if self.instance.pk else Share()
        )
        names = CHANGEABLE if self.instance.pk else ("server", "name", "folder", *CHANGEABLE)
        for name in names:
            setattr(share, name, self.cleaned_data[name])
        return share

    def _post_clean(self) -> None:
        """Nothing: see clean."""


class DeleteForm(CleanText, forms.Form):
    """What becomes of the folder; asked only where the server knows whose it was."""

    give_back = forms.BooleanField(
        label=_("Give all back to whom it belonged"),
        required=False,
        help_text=_(
            "Owners and modes come back as they were before the share took the folder over. What is new since then "
            "belongs to whom its folder belongs. Programs lose the right to run as their owner (setuid). Without this, "
            "the folder is root's alone. Later it cannot be given back any more."
        ),
    )

    def __init__(self, *args: Any, share: Share, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if share.given_at is None:
            del self.fields["give_back"]
