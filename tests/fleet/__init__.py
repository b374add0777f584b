"""Throw-away real servers and a real SMTP provider on a private bridge; see README.md."""
