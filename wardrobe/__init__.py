"""The embedded default models: the world they learned, their training, judging and weights."""
