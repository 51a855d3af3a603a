"""What templates ask about jobs."""

from django import template

from jobs.live import is_over

register = template.Library()
register.filter(is_over)
