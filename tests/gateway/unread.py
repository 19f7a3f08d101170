"""Requests whose answers nobody waits for."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit


def sent(url: str, body: Mapping[str, object]) -> HTTPConnection:
    """A JSON body is on its way; closing the connection hangs up."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    connection.request("POST", parts.path, json.dumps(body), {"content-type": "application/json"})
    return connection
