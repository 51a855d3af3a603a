"""What Proxmox is asked for when a container is created: a pure function of the row."""

from typing import Any

from proxmox.models import Creation


def options_of(creation: Creation, *, panel_key: str, password: str) -> dict[str, Any]:
    """The parameters of POST /nodes/{node}/lxc but the id. Every value was checked by the form that gave it."""
    options: dict[str, Any] = {
        **plain_options(creation),
        "password": password,
        "ssh-public-keys": "\n".join([panel_key, *creation.ssh_keys.splitlines()]) + "\n",
    }
    return options


def plain_options(creation: Creation) -> dict[str, Any]:
    """Those that may be shown: without the password and the keys."""
    options: dict[str, Any] = {
        "hostname": creation.hostname,
        "ostemplate": creation.template,
        "rootfs": f"{creation.storage}:{creation.disk}",
        "memory": creation.memory,
        "swap": creation.swap,
        "cores": creation.cores,
        "net0": net0(creation),
        "unprivileged": int(creation.unprivileged),  # the default differs between versions
        "onboot": int(creation.onboot),
        "description": f"Created by Gestion for {creation.hostname}.\n\n{creation.marker}\n",
    }
    if creation.name_servers:
        options["nameserver"] = " ".join(creation.name_servers)
    if creation.nesting:
        options["features"] = "nesting=1"
    return options


def net0(creation: Creation) -> str:
    """The first network interface as Proxmox writes it."""
    v6 = ":" in creation.address
    parts = ["name=eth0", f"bridge={creation.bridge}"]
    parts.append(f"{'ip6' if v6 else 'ip'}={creation.address}/{creation.prefix_length}")
    if creation.gateway:
        parts.append(f"{'gw6' if v6 else 'gw'}={creation.gateway}")
    return ",".join(parts)


# What Proxmox calls a thing, and the form's field for it.
FIELDS = {
    "hostname": "name",
    "ostemplate": "template",
    "rootfs": "storage",
    "storage": "storage",
    "memory": "memory",
    "swap": "swap",
    "cores": "cores",
    "net0": "address",
    "nameserver": "name_servers",
    "ssh-public-keys": "ssh_keys",
    "features": "nesting",
    "unprivileged": "unprivileged",
    "onboot": "onboot",
}


def by_form_field(errors: dict[str, str]) -> dict[str, list[str]]:
    """Proxmox's `errors` by the form's fields; what belongs to none of them under "__all__", with its name."""
    found: dict[str, list[str]] = {}
    for name, text in errors.items():
        field = FIELDS.get(name, "__all__")
        found.setdefault(field, []).append(text if field != "__all__" else f"{name}: {text}")
    return found
