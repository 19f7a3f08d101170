"""Signed, expiring picture links: who holds the link may fetch the picture, no key needed, until it expires."""

import hashlib
import hmac
import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import SignatureRefused, UrlExpired

logger = logging.getLogger(__name__)

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignedName:
    """A picture's name, good until `expires` (Unix time in seconds)."""

    name: str
    expires: int
    signature: str


class UrlSigner:
    """HMAC-SHA256 over name and expiry."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, name: str, expires: int) -> SignedName:
        """A link's parts for this picture, good until then."""
        return SignedName(name, expires, self._signature(name, expires))

    def seconds_left(self, link: SignedName) -> int:
        """How long the link is still good. Raises SignatureRefused, then UrlExpired."""
        # Bytes: compare_digest refuses text beyond ASCII, which anyone may put into a URL.
        if not hmac.compare_digest(self._signature(link.name, link.expires).encode(), link.signature.encode()):
            raise SignatureRefused("this image URL has no valid signature")
        left = link.expires - time.time()
        if left <= 0:
            raise UrlExpired("this image URL has expired")
        return int(left)

    def _signature(self, name: str, expires: int) -> str:
        return hmac.new(self._secret, f"{expires}:{name}".encode(), hashlib.sha256).hexdigest()


def load_or_create_secret(file: Path) -> bytes:
    """The secret of this installation, made at first use, readable by its owner alone."""
    try:
        secret = file.read_bytes()
    except FileNotFoundError:
        secret = _create_secret(file)
    if len(secret) < _SECRET_BYTES:
        raise ValueError(f"{file} holds no usable secret; delete it to have a new one made")
    return secret


def _create_secret(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(secrets.token_bytes(_SECRET_BYTES))
    try:
        # A link fails if another process was first; then both use that one's secret.
        os.link(draft, file)
    except FileExistsError:
        logger.debug("another process made the secret first")
    finally:
        draft.unlink()
    return file.read_bytes()
