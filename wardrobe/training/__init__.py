"""Resumable training of the embedded default models."""
