"""Logs of driven episodes, and the report made of them."""
