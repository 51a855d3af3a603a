"""How kinds of rollout are named on pages."""

from django import template

from servers import registry

register = template.Library()


@register.simple_tag
def kind_title(name: str) -> str:
    """A kind's title, or its name when no room brings it any more."""
    return registry.kind_title(name)
