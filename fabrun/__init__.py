"""Runs of Fabric scripts on servers."""
