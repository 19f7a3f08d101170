"""The HTTP gateway: OpenAI-compatible routes, pipelines, stores. Imports no torch."""
