"""Dressing a person: stages from two pictures to one, each on its own; the pipeline runs them."""
