"""Pages about servers: permission, form, one service, answer."""
