"""Whose software takes part in a call at one end of a connection."""
