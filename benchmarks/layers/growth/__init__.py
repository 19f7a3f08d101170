"""How latency and memory grow with layers and sizes, and what a transformer in fewer bits costs."""
