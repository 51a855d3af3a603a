"""The gate for what people type, one module a noun."""
