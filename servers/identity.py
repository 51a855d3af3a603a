"""The panel's own SSH key: made with the first account, or on first use; one for the whole panel."""

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings

from servers.models import PanelIdentity


def panel_identity() -> PanelIdentity:
    """The one identity; of several processes that ask first at the same time, all get the same."""
    found = PanelIdentity.objects.first()
    if found is None:
        # The primary key decides a race: the second insert fails, and its process reads the first one's row.
        found, _made = PanelIdentity.objects.get_or_create(pk=1, defaults=_fresh())
    return found


def _fresh() -> dict[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    host = settings.GESTION_NAME or urlsplit(settings.GESTION_URL).hostname or "localhost"
    return {"private_key": private, "public_key": f"{public} gestion@{host}"}
