"""Counts the visits of pages exactly: see README.md."""
