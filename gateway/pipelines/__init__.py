"""What the gateway does for one request, free of HTTP."""
