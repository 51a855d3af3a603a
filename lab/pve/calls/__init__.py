"""The calls of the API, by what they are about."""

from . import access, cluster, config, copies, create, lxc, machines, nodes, power, snapshots, storage, tasks
from .registry import CALLS

__all__ = [
    "CALLS",
    "access",
    "cluster",
    "config",
    "copies",
    "create",
    "lxc",
    "machines",
    "nodes",
    "power",
    "snapshots",
    "storage",
    "tasks",
]
