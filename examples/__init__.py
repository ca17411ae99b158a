"""Handlers to copy."""
