"""The pages of notifications: permission, form, one service, answer."""
