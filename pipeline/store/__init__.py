"""The store: every message once, in PostgreSQL, in an order that a reader can follow without missing any.

`connection` reaches the database and `migrate` gives it its schema. Consumers write with `writer`, viewers
read with `reader`; both use `failures` and `faults`.
"""
