"""Models of Triton's Python backend. Published `model.py` files import them by module; they run in Triton's stubs."""
