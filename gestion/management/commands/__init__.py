"""`manage.py panel`."""
