"""The only code that touches a server: reach a host, plan, apply, prove, put back. Plain Python, no Django."""
