"""How well, and how fast, people are dressed over HTTP."""
