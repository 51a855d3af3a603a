"""The gates for what people choose to hear of, and for web hooks."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.validators import URLValidator
from django.utils.translation import gettext_lazy as _

from notifications import registry, targets
from notifications.models import Webhook
from pages.forms import CleanText
from pages.shown import ShownForm


class TopicsField(forms.MultipleChoiceField):
    """Any of the registered topics."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=registry.choices, required=False, **options)


class TopicsForm(CleanText, forms.Form):
    """What a person wants to hear of by mail."""

    topics = TopicsField(label=_("Tell me by mail when"))


class WebhookForm(ShownForm):
    """A web hook. Its URL is shown to nobody again: empty means that it stays."""

    unshown = ("url",)
    url = forms.CharField(label=_("URL"), required=False, max_length=2000, strip=True)
    topics = TopicsField(label=_("Tell it when"))

    class Meta:
        model = Webhook
        fields = ("name", "url", "topics", "active")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial.pop("url", None)
        if self.instance.pk:
            self.fields["url"].help_text = _("Kept encrypted and not shown again. Leave it empty to keep it.")
        else:
            self.fields["url"].required = True
            self.fields["url"].help_text = _("Kept encrypted and not shown again: it may hold a password.")

    def clean_url(self) -> str:
        """An http or https address that leads outside; user names in it would end up in logs, and are refused."""
        url: str = self.cleaned_data["url"]
        if not url:
            return ""
        URLValidator(schemes=["http", "https"])(url)
        if urlsplit(url).username or urlsplit(url).password:
            raise forms.ValidationError(_("Leave user name and password out of the address."))
        try:
            targets.check_target(urlsplit(url).hostname or "")
        except targets.NotAllowed as error:
            raise forms.ValidationError(str(error)) from error
        return url

    def _post_clean(self) -> None:
        """Check the row, but leave its URL to the service."""
        kept = self.instance.url
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, unknown to its stubs
        self.instance.url = kept
