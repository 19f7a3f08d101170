"""Proof that models of real size go through the export: `python -m benchmarks.full_size`.

Architectures and widths are the public ones, weights are random: what is measured is the compiler's work, not pictures.
"""
