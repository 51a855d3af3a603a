"""From an error of a look to the state of a host, and to what its page says."""

from django.utils.translation import gettext as _

from proxmox.client import errors
from proxmox.models.seen import NodeState

STATES: tuple[tuple[type[errors.ProxmoxError], NodeState], ...] = (
    (errors.NoCredentials, NodeState.NO_ACCESS),
    (errors.NoAnswer, NodeState.SLOW),  # it took the connection, and then said nothing in time
    (errors.Unreachable, NodeState.DOWN),
    (errors.NodeDown, NodeState.DOWN),
    (errors.CertificateChanged, NodeState.CHANGED),
    (errors.CertificateUnknown, NodeState.OFFERED),
    (errors.ProxmoxError, NodeState.REFUSED),
)


def of(error: Exception) -> tuple[NodeState, str]:
    """The state, and a sentence."""
    for kind, state in STATES:
        if isinstance(error, kind):
            return state, str(error)
    return NodeState.REFUSED, _(
        "Something went wrong inside the panel while looking; its log has the details."
    )
