"""Pure ASGI middleware: request ids, body limit, access log."""
