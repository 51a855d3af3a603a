"""The gate for a repository's branch."""

import re

from django import forms
from django.utils.translation import gettext_lazy as _

from githooks.models import Repository
from pages.forms import CleanText

# git-check-ref-format(1), without what a shell or a person would stumble over.
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}", re.ASCII)
_NEVER = ("..", "//", "@{", "/.", ".lock/")


class BranchForm(CleanText, forms.ModelForm):
    """Which branch counts."""

    class Meta:
        model = Repository
        fields = ("branch",)

    def clean_branch(self) -> str:
        """A branch's name as git has it, without refs/heads/."""
        branch: str = self.cleaned_data["branch"].removeprefix("refs/heads/")
        wrong = any(part in branch for part in _NEVER) or branch.endswith((".", "/", ".lock"))
        if branch and (wrong or not _BRANCH.fullmatch(branch)):
            raise forms.ValidationError(_("This is no branch's name."))
        return branch
