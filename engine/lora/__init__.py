"""Adapters (LoRA) beside a module's weights, row by row, or merged into them."""
