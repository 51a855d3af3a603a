"""Real containers behind the API: those of a lab's Proxmox hosts."""
