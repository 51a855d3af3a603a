"""The Proxmox API of a node: `with open_api(server) as api:` gives a NodeApi; errors are in `errors`.

proxmoxer sends the requests; TLS, time-outs, errors and types are ours.
"""

from proxmox.client.answers import GuestNow, NodeStatus, Storage, TaskNow, Version, Volume
from proxmox.client.node import NodeApi
from proxmox.client.opening import endpoint_of, open_api
from proxmox.client.session import Endpoint, Login
from proxmox.client.waiting import wait_task

__all__ = [
    "Endpoint",
    "GuestNow",
    "Login",
    "NodeApi",
    "NodeStatus",
    "Storage",
    "TaskNow",
    "Version",
    "Volume",
    "endpoint_of",
    "open_api",
    "wait_task",
]
