"""The viewer: the page, the HTTP API and the live stream."""
