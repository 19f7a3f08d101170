"""Triptych and its peers, side by side: the same weights, settings and machine, one after another in one run."""
