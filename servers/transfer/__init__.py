"""Servers as text: CSV, Ansible inventories and OpenSSH configuration, both ways. Pure: no tables, no network."""
