"""`manage.py make_icons`: pack the used icons into static/icons.svg."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from pages.icons import sprite


class Command(BaseCommand):
    """Writes the sprite from node_modules/@tabler/icons (`npm ci` brings it)."""

    help = "Write static/icons.svg with the icons that pages/icons.py lists."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it."""
        folder = settings.BASE_DIR / "node_modules/@tabler/icons/icons/outline"
        (settings.BASE_DIR / "static/icons.svg").write_text(sprite(folder))
