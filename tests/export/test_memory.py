"""Writing a graph takes little more memory than its weights."""

from benchmarks.export_memory import measure

WIDTH = 704
ALLOWED = 1.5
FIXED_BYTES = 64 << 20
"""For what does not grow with the weights: the graph of a network of another shape than the base's."""


def test_peak_memory_is_at_most_one_and_a_half_times_the_weights() -> None:
    """A half-precision graph of a float32 file is the hard case: both types are in memory."""
    use = measure("fp32", "fp16", WIDTH)
    assert use.weights > 300e6, "too small a model says nothing"
    assert use.added > use.written, "the measurement itself is broken"
    assert use.added <= ALLOWED * use.weights + FIXED_BYTES
