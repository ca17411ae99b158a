"""Who may do what: host names, the token, sessions, READ_ONLY, and trusted proxies."""
