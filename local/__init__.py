"""`make run` and `make watch`: the system on one machine, on loopback, without Docker."""
