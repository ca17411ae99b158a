"""The whole system on one machine, on loopback, without Docker: what `make run` starts."""
