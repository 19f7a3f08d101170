"""Taking pictures apart and putting them together."""
