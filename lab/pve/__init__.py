"""A Proxmox API for the lab, in front of simulated or of real containers. See docs/lab-pve.md."""

from .cluster import Cluster
from .faults import Drops, Fault, Faults, IdTaken, Lacks, Locked, Refuses, Slow, TaskFails
from .server import PveServer
from .world import Grant, Guest, Node, Storage, Token, User, Volume, World

__all__ = [
    "Cluster",
    "Drops",
    "Fault",
    "Faults",
    "Grant",
    "Guest",
    "IdTaken",
    "Lacks",
    "Locked",
    "Node",
    "PveServer",
    "Refuses",
    "Slow",
    "Storage",
    "TaskFails",
    "Token",
    "User",
    "Volume",
    "World",
]
