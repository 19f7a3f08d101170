"""Virtual try-on, as training and serving share it: body parts, categories and the agnostic mask. numpy and scipy."""
