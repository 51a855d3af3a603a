"""What a service found wrong with what a form was told, shown by the form."""

from django import forms
from django.core.exceptions import ValidationError


class RefusableForm(forms.BaseForm):
    """A form whose values a service checks in its transaction: what it refuses goes by its fields."""

    def refuse(self, error: ValidationError) -> None:
        """Show what the service found, by the field; what has no field here goes on top."""
        for field, errors in error.message_dict.items():
            self.add_error(field if field in self.fields else None, errors)
