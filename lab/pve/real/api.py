"""The API of a lab's Proxmox host, as tests and the demo handle it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.fleet import Fleet
from lab.pve.certificate import Certificate
from lab.pve.faults import Fault, write_faults

from .service import PORT
from .state import OWN_USER, load_world, state_folder


@dataclass(frozen=True)
class LabApi:
    """Where the API of a lab's node is, and how to get in: `LabApi.of(fleet, "pve1")`."""

    lab: str
    node: str
    address: str

    @classmethod
    def of(cls, fleet: Fleet, node: str) -> "LabApi":
        """Return the API of a Proxmox host. Raises LabError if there is no such host."""
        return cls(fleet.name, node, fleet[node].address)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{self.address}:{PORT}"

    @property
    def port(self) -> int:
        """The port, Proxmox's own."""
        return PORT

    @property
    def certificate_file(self) -> Path:
        """The file with its certificate (and its key)."""
        return state_folder(self.lab) / f"{self.node}.pem"

    @property
    def certificate_pem(self) -> str:
        """Its certificate in PEM."""
        text = self.certificate_file.read_text()
        return text[: text.index("-----BEGIN PRIVATE KEY")]

    @property
    def fingerprint(self) -> str:
        """Its certificate's SHA-256 fingerprint: "AB:CD:…"."""
        return Certificate(self.certificate_pem, self.certificate_file).fingerprint

    @property
    def token(self) -> tuple[str, str]:
        """Id and secret of the token with the rights that the panel needs: "gestion@pve!panel"."""
        user = load_world(self.lab).users[OWN_USER]
        return f"{OWN_USER}!panel", user.tokens["panel"].secret

    @property
    def root_password(self) -> str:
        """The password of root@pam."""
        return str(load_world(self.lab).users["root@pam"].password)

    def set_faults(self, faults: Sequence[Fault] = ()) -> None:
        """Let the API of this lab have these faults and no others; they count from the next request on."""
        write_faults(state_folder(self.lab) / "faults.json", faults)
