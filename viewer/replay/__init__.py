"""Replays: messages published again, in the order in which they were published first."""
