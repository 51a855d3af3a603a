"""Registers the works of this room, which lie beside their noun."""

from forwarding import works_certificates, works_hostnames, works_nginx, works_ports

__all__ = ["works_certificates", "works_hostnames", "works_nginx", "works_ports"]
