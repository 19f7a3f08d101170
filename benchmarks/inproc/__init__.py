"""Contenders without HTTP: each runs in a process of its own, takes a job file and leaves its figures in another."""
