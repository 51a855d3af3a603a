"""The gates for what people type, by noun."""
