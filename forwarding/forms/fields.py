"""Form fields of forwarding that Django does not bring."""

from typing import Any

from django import forms

from forwarding.validators import normal_domain, validate_domain


class DomainField(forms.CharField):
    """A domain, international ones in their own letters too; gives it as it is stored."""

    default_validators = [validate_domain]

    def to_python(self, value: Any) -> Any:
        """The stored form."""
        text = super().to_python(value)
        return normal_domain(text) if text else text


class NumberField(forms.IntegerField):
    """A whole number; left empty, its usual value."""

    def __init__(self, usual: int, least: int, most: int, **kwargs: Any) -> None:
        self.usual = usual
        super().__init__(min_value=least, max_value=most, required=False, initial=usual, **kwargs)

    def clean(self, value: Any) -> Any:
        """See Field.clean."""
        found = super().clean(value)
        return self.usual if found is None else found


class UsualChoiceField(forms.ChoiceField):
    """A choice; where nothing was sent, its usual value."""

    def __init__(self, usual: str, **kwargs: Any) -> None:
        self.usual = usual
        super().__init__(required=False, initial=usual, **kwargs)

    def clean(self, value: Any) -> Any:
        """See Field.clean."""
        return super().clean(value) or self.usual
