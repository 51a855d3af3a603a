"""What a person can do with keys and groups: one function each, with its transaction and audit row."""
