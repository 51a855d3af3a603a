"""The pages of forwarding, one module a noun: permission, form, one service, answer."""
