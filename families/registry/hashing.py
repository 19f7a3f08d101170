"""Hashes models now, for a command, or in a thread beside a server."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from families.registry.hashes import BytesRead, HashCache, HashingStopped, combine
from families.registry.inventory import Inventory
from families.registry.report import Digest, DigestState

logger = logging.getLogger(__name__)

_PENDING = Digest(state=DigestState.PENDING)
_FAILED = Digest(state=DigestState.FAILED)

CACHE_FILE = Path("registry") / "hashes.json"
"""Below the runtime directory."""


class Hasher:
    """One thread that reads one model after the other; disks do not read faster in parallel."""

    def __init__(self, cache: HashCache) -> None:
        self._cache = cache
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._queued: set[Inventory] = set()
        self._failed: set[Inventory] = set()

    def digest(self, inventory: Inventory) -> Digest:
        """The digest if it is known, else `pending`: it is then being computed. Returns at once."""
        known = self._known(inventory)
        if known is not None:
            return known
        with self._lock:
            if inventory in self._failed:
                return _FAILED
            if inventory not in self._queued and not self._stop.is_set():
                self._queued.add(inventory)
                self._worker.submit(self._work, inventory)
        return _PENDING

    def digest_now(self, inventory: Inventory, on_bytes: BytesRead | None = None) -> Digest:
        """The digest, however long it takes; `failed` where a file cannot be read."""
        try:
            for file in inventory.files:
                if self._cache.known(file) is None:
                    self._cache.compute(file, self._stop, on_bytes)
                elif on_bytes is not None:
                    on_bytes(file.size)
        except OSError as error:
            logger.warning("cannot hash: %s", error)
            return _FAILED
        return self._known(inventory) or _FAILED

    def close(self) -> None:
        """Stop in the middle of whatever is being read; what is done is kept."""
        self._stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _known(self, inventory: Inventory) -> Digest | None:
        hashes = [sha for file in inventory.files if (sha := self._cache.known(file)) is not None]
        if len(hashes) != len(inventory.files):
            return None
        return Digest(state=DigestState.DONE, sha256=combine(inventory, hashes))

    def _work(self, inventory: Inventory) -> None:
        try:
            digest = self.digest_now(inventory)
        except HashingStopped:
            return
        with self._lock:
            self._queued.discard(inventory)
            if digest.state is DigestState.FAILED:
                self._failed.add(inventory)
