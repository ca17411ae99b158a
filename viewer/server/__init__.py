"""How requests are served: the gunicorn worker and its limits, its logs, compression."""
