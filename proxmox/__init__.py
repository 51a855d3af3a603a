"""Containers and virtual machines by the Proxmox API."""
