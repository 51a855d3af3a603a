"""What hostnames show on the pages of others, and their kind of rollout."""

from django.utils.translation import gettext_lazy as _

from forwarding import nginx_reading
from forwarding.desired_hostnames import KIND, desired
from servers.registry import RolloutKind, ServerPart

server_part = ServerPart(
    "hostnames",
    kinds=(
        RolloutKind(
            KIND,
            _("Hostnames (nginx)"),
            desired,
            order=30,
            needs_admin=True,
            afterwards=nginx_reading.read,
        ),
    ),
)
