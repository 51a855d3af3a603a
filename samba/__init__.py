"""Shares: folders of a server that people reach with smbclient, each with its own user and password."""
