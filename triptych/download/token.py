"""The access token: out of one environment variable, into one header, and nowhere else."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from triptych.download.errors import Refused

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_TOKEN = "hf_"  # noqa: S105 - how every token of the hub begins


def read_token(variable: str, environment: Mapping[str, str]) -> SecretStr | None:
    """The token, or None where the variable is not set. Raises Refused without repeating what was given."""
    if variable.startswith(_LIKE_A_TOKEN) or not _VARIABLE.fullmatch(variable):
        raise Refused("--token-env takes the name of an environment variable, never the token itself")
    token = environment.get(variable, "").strip()
    if not token:
        return None
    # Such a value would end up in the HTTP library's error message.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(f"environment variable {variable}: a token has neither spaces nor special characters")
    return SecretStr(token)


def check_endpoint(endpoint: str, token: SecretStr | None) -> str:
    """The endpoint without a trailing slash. Raises Refused for what is no HTTP address, or would show the token."""
    address = urlsplit(endpoint)
    if address.scheme not in {"http", "https"} or not address.hostname or address.query or address.username:
        raise Refused("the endpoint must be an address such as https://huggingface.co, without name and password")
    if token is not None and address.scheme == "http" and not _is_loopback(address.hostname):
        raise Refused(f"endpoint {endpoint}: a token is never sent without TLS; use https, or unset the token")
    return endpoint.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
