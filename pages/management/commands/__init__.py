"""Management commands of the page kit."""
