"""`make run`: the whole system on one machine, on loopback, without Docker."""
