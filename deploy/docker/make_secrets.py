"""Makes the secrets of the composed panel, each once; run before everything else at every start.

/secrets holds a volume for each reader: `panel` for the panel's own processes, `postgres` and `redis` for those
two. A secret that a later version wants is added then; none is ever replaced.
"""

import secrets
import sys
from pathlib import Path

RANDOM = (
    "SECRET_KEY",
    "GESTION_ENCRYPTION_KEYS",
    "VM_PASS_SECRET",
    "SAMBA_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
)


def make(folder: Path) -> list[str]:
    """Write what is missing below `folder`; returns the names of the secrets that are new."""
    kept = folder / "panel" / "gestion.env"
    values = read(kept)
    fresh = [name for name in RANDOM if name not in values]
    values |= {name: secrets.token_urlsafe(48) for name in fresh}
    values["DATABASE_URL"] = f"postgres://gestion:{values['POSTGRES_PASSWORD']}@postgres:5432/gestion"
    values["REDIS_URL"] = f"redis://:{values['REDIS_PASSWORD']}@redis:6379/0"
    write(kept, "".join(f"{name}={value}\n" for name, value in values.items()), 0o400)
    # Their readers run as other users, each alone with its volume.
    write(folder / "postgres" / "password", values["POSTGRES_PASSWORD"], 0o444)
    write(folder / "redis" / "password", values["REDIS_PASSWORD"], 0o444)
    write(folder / "redis" / "redis.conf", f"requirepass {values['REDIS_PASSWORD']}\n", 0o444)
    return fresh


def read(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file; none where it does not exist."""
    if not path.exists():
        return {}
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def write(path: Path, text: str, mode: int) -> None:
    """Put a file in its place, whole or not at all."""
    half = path.with_name(f".{path.name}.new")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    half.write_text(text)
    half.chmod(mode)
    half.rename(path)


if __name__ == "__main__":
    made = make(Path("/secrets"))
    sys.stdout.write(f"Made: {', '.join(made)}\n" if made else "All secrets are there.\n")
