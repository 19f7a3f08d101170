"""`triptych export`: the command line."""
