"""Models share one device's memory: they come in when they are asked for, within a budget, and leave for others."""
