"""Which parts of diffusers' modules are replaced before a compiler sees them."""

from torch import nn

from export.artefacts.key import Dialect
from export.lowering.attend import Attend, attention_of
from export.lowering.attention import rewrite_pixel_attention
from export.lowering.transformer import rewrite_transformer
from export.lowering.upsampling import always_forward_upsample_size, rewrite_upsampling

# Each takes a submodule and gives its replacement, or None to leave it as it is.
_REWRITES = (rewrite_upsampling, rewrite_transformer, rewrite_pixel_attention)


def lower(module: nn.Module, dialect: Dialect = Dialect.ONNXRUNTIME) -> None:
    """Prepare `module`, in place, for `torch.onnx.export` into a dialect."""
    always_forward_upsample_size(module)
    _rewrite_children(module, attention_of(dialect))


def _rewrite_children(parent: nn.Module, attend: Attend) -> None:
    """Replace what can be replaced, from the outside in; replacements are complete and not searched again."""
    for name, child in list(parent.named_children()):
        candidates = (rewrite(child, attend) for rewrite in _REWRITES)
        replacement = next((candidate for candidate in candidates if candidate is not None), None)
        if replacement is None:
            _rewrite_children(child, attend)
        else:
            setattr(parent, name, replacement)
