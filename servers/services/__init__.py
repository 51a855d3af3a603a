"""What people can do with servers: one function each, with its transaction and audit row."""

from servers.services.host_keys import accept_host_key, reject_host_key, remove_host_key
from servers.services.inventory import (
    DeleteRefused,
    StaleEdit,
    add_unix_user,
    become_nginx_server,
    change_server,
    create_server,
    delete_server,
    holds_of,
    remove_unix_user,
)
from servers.services.work import adopt, check_everyone, check_server, look_closer, roll_out, roll_out_waiting

__all__ = [
    "DeleteRefused",
    "StaleEdit",
    "accept_host_key",
    "add_unix_user",
    "adopt",
    "become_nginx_server",
    "change_server",
    "check_everyone",
    "check_server",
    "create_server",
    "delete_server",
    "holds_of",
    "look_closer",
    "reject_host_key",
    "remove_host_key",
    "remove_unix_user",
    "roll_out",
    "roll_out_waiting",
]
