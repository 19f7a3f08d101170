"""What a caller must know of a model to speak to it: a release that says the same takes over without the caller."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence

from families.manifest import ModelManifest

_FREE = ("name", "licence", "defaults", "noise")
"""Fields that a release may change: a caller's requests mean the same with another value."""


def contract(manifest: ModelManifest, tokenizers: Sequence[bytes]) -> str:
    """A digest: where it differs, token ids or tensors may mean other things.

    `tokenizers`: what `families.tokenizers.definition` says of each.
    """
    agreed = {name: value for name, value in dataclasses.asdict(manifest).items() if name not in _FREE}
    digest = hashlib.sha256(json.dumps(agreed, sort_keys=True).encode())
    for tokenizer in tokenizers:
        digest.update(hashlib.sha256(tokenizer).digest())
    return digest.hexdigest()
