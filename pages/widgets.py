"""Form widgets of the page kit."""

from django import forms


class CheckList(forms.CheckboxSelectMultiple):
    """Several of many: a scrolling list of boxes with a field that narrows it; works without scripts too."""
