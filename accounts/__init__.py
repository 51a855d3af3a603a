"""Panel users, roles, sign-in, tokens and the audit trail."""
