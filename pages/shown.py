"""Forms of rows that several people change: one that was opened before another's change does not take it back unseen.

For rows without a version of their own. What the page showed goes with the form, as a few digits of each value.
"""

from hashlib import sha256
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _

from pages.forms import CleanText


class ShownForm(CleanText, forms.ModelForm):
    """A form that is not saved where its row has changed since it was shown.

    `unshown`: fields whose value no page shows. Programs leave `shown` out: they send what they mean alone.
    """

    unshown: ClassVar[tuple[str, ...]] = ()
    shown = forms.CharField(required=False, max_length=1000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._now: dict[str, Any] = {}
        if kwargs.get("instance") is None:  # of a new row
            del self.fields["shown"]
            return
        self._now = {
            name: self.initial.get(name) for name in self._meta.fields or () if name not in self.unshown
        }
        self.initial["shown"] = ".".join(map(_digits, self._now.values()))

    def clean(self) -> dict[str, Any]:
        """Refuse, and say what the others have changed; whoever saves again has read it."""
        data = super().clean() or {}
        seen, now = data.pop("shown", ""), self.initial.get("shown")
        if not seen or seen == now:
            return data
        digits = dict(zip(self._now, seen.split("."), strict=False))
        changed = [name for name, value in self._now.items() if digits.get(name) != _digits(value)]
        words = _(
            "Somebody else has changed this since you opened it (now %s). What you typed is still here: compare, then "
            "save again."
        )
        self.add_error(None, words % "; ".join(map(self._said, changed)))
        again = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict, which its stubs call a Mapping
        again[self.add_prefix("shown")] = now
        self.data = again
        return data

    def _said(self, name: str) -> str:
        field = self.fields[name]
        value = field.prepare_value(self._now[name])
        if isinstance(value, bool):
            value = _("yes") if value else _("no")
        if isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        return f"{field.label}: {'—' if value in (None, '') else value}"


def _digits(value: Any) -> str:
    return sha256(repr(value).encode()).hexdigest()[:12]
