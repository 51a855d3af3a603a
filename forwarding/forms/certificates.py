"""The form of an uploaded certificate: both parts as text or as files."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from forwarding.pairs import CHAIN_BYTES, KEY_BYTES
from pages.forms import CleanText

MOST = {"chain": CHAIN_BYTES, "key": KEY_BYTES}


class SecretArea(forms.Textarea):
    """A text area that never shows again what was typed into it."""

    def format_value(self, value: Any) -> str | None:
        """Nothing, whatever it was."""
        return None


class UploadForm(CleanText, forms.Form):
    """A chain and its key. A file counts before the text beside it."""

    chain = forms.CharField(
        label=gettext_lazy("Certificate and chain"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
        help_text=gettext_lazy(
            "As PEM, with the certificates that lead to its root: what others call fullchain.pem."
        ),
    )
    chain_file = forms.FileField(label=gettext_lazy("or as a file"), required=False)
    key = forms.CharField(
        label=gettext_lazy("Private key"),
        required=False,
        strip=False,
        widget=SecretArea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off", "class": "mono"}),
        help_text=gettext_lazy(
            "As PEM, without a passphrase. It is kept encrypted, and goes to the nginx server alone."
        ),
    )
    key_file = forms.FileField(label=gettext_lazy("or as a file"), required=False)

    def clean(self) -> dict[str, Any]:
        """Put files in the place of texts; say what is missing."""
        cleaned = super().clean() or {}
        for name in ("chain", "key"):
            if name in self.errors:
                continue
            if sent := cleaned.get(f"{name}_file"):
                cleaned[name] = self._text_of(name, sent)
            elif not cleaned.get(name, "").strip():
                self.add_error(name, _("Paste it, or choose its file."))
        return cleaned

    def _text_of(self, name: str, sent: UploadedFile) -> str:
        if sent.size is None or sent.size > MOST[name]:
            self.add_error(name, _("This file is too big."))
            return ""
        return bytes(sent.read()).decode("ascii", errors="replace")

    def refuse(self, errors: dict[str, list[str]]) -> None:
        """Show why the pair cannot be taken."""
        for name, texts in errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)
