"""`manage.py vm_password`: root's password on a container that Gestion created, for scripts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxmox.models import Creation
from proxmox.passwords import NoPasswordSecret, secret_mark, vm_password


class Command(BaseCommand):
    """Prints the password, alone, to standard output; ends with 1 and says why where there is none."""

    help = "Print root's password on a container that Gestion created, by its server's name in the inventory."

    def add_arguments(self, parser: Any) -> None:
        """Options."""
        parser.add_argument("server", help="the server's name, or the name it had when it was created")
        parser.add_argument(
            "--host", help="compute it for a container of this Proxmox host, whoever created it"
        )

    def handle(self, *args: Any, server: str, host: str | None = None, **options: Any) -> None:
        """Print it."""
        try:
            if host:
                self.stdout.write(vm_password(host.lower(), server.lower()))
            else:
                self.stdout.write(self._of_created(server.lower()))
        except NoPasswordSecret as error:
            raise CommandError(str(error)) from error

    def _of_created(self, name: str) -> str:
        made = Creation.objects.exclude(password_server="")
        found = made.filter(server__name=name).first() or made.filter(password_server=name).first()
        if found is None:
            raise CommandError(f"Gestion has created no container for {name}.")
        if found.password_mark != secret_mark():
            raise CommandError(
                f"{name} got its password from another VM_PASS_SECRET than the one that is set now."
            )
        return vm_password(found.password_host, found.password_server)
