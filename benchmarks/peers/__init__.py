"""The servers that people put around a diffusers pipeline today, each built as well as its kind allows."""
