"""Low-rank adapters (LoRA): files, what their tensors mean, whether they fit a model. Headers only."""
