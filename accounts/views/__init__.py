"""The pages of accounts: permission, form, one service, answer."""
