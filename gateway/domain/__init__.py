"""Value objects and ports of the gateway; no framework types."""
