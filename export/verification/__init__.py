"""Holds what was built against the modules it came from."""
