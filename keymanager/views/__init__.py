"""The pages of the keymanager: permission, form, one service, answer."""
