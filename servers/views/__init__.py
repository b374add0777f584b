"""Doors of the server pages."""
