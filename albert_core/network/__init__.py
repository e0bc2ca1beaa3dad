"""Connections: why they fail, how long they are tried, which certificates are trusted."""
