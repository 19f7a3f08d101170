"""Stable Diffusion 3's patches and positions as a graph: any size, also where diffusers' own would bake one in."""

from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from diffusers.models.embeddings import PatchEmbed

from engine.modules.sd3 import PatchEmbedding
from export.graph.onnx_graph import GraphMetadata, write_onnx
from families.tensors import ComponentSignature, DType, TensorSpec

SIGNATURE = ComponentSignature(
    (TensorSpec("sample", DType.FP32, (4, "latent_height", "latent_width")),),
    (TensorSpec("tokens", DType.FP32, ("tokens", 16)),),
)


@pytest.fixture(scope="module")
def embedding() -> PatchEmbed:
    torch.manual_seed(0)
    return PatchEmbed(height=8, width=8, patch_size=2, in_channels=4, embed_dim=16, pos_embed_max_size=11).eval()


@pytest.fixture(scope="module")
def session(embedding: PatchEmbed, tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    path: Path = tmp_path_factory.mktemp("sd3") / "embedding.onnx"
    write_onnx(PatchEmbedding(embedding), SIGNATURE, GraphMetadata("tiny", "denoiser", "hash", "test"), path)
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [(8, 8), (2, 22), (22, 6), (22, 22), (14, 10)])
@torch.inference_mode()
def test_every_size_has_diffusers_positions(
    embedding: PatchEmbed, session: ort.InferenceSession, size: tuple[int, int]
) -> None:
    sample = torch.randn(2, 4, *size)
    expected = embedding(sample)
    torch.testing.assert_close(PatchEmbedding(embedding)(sample), expected)
    (got,) = session.run(None, {"sample": sample.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), expected, atol=1e-5, rtol=1e-5)
