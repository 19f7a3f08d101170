"""How well, and how fast, pictures are taken apart."""
