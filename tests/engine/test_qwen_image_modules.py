"""Qwen-Image's components, held against diffusers' own one by one."""

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d

from engine.modules.pixels import to_pixels
from engine.modules.qwen_image_vae import FlatDecoder, FlatEncoder, flat_convolution
from families import qwen_image_layered
from families.catalog import load_source
from families.derived import Layout
from families.qwen_image import derive
from tests.support.tiny_qwen_image import tiny_transformer, tiny_vae, write_tiny_qwen_image
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (1, 0), ((3, 1, 1), (1, 0, 0))])
@torch.inference_mode()
def test_a_causal_convolution_of_one_frame_is_exactly_flat(kernel: int | tuple[int, ...], padding: int) -> None:
    """Whole numbers leave nothing to rounding: the results are equal bit by bit."""
    torch.manual_seed(0)
    causal = QwenImageCausalConv3d(6, 5, kernel, padding=padding)
    for parameter in causal.parameters():
        parameter.copy_(torch.randint(-8, 9, parameter.shape))
    picture = torch.randint(-100, 101, (2, 6, 7, 9)).float()
    assert torch.equal(flat_convolution(causal)(picture), causal(picture[:, :, None])[:, :, 0])


@torch.inference_mode()
def test_every_convolution_of_the_rgba_autoencoder_is_exactly_flat() -> None:
    """Its very layers, with whole numbers for weights; those that resample time see no single frame."""
    torch.manual_seed(0)
    vae = tiny_vae(channels=8, colours=4).eval()
    for name, causal in vae.named_modules():
        if not isinstance(causal, QwenImageCausalConv3d) or name.endswith("time_conv"):
            continue
        for parameter in causal.parameters():
            parameter.copy_(torch.randint(-8, 9, parameter.shape))
        frame = torch.randint(-100, 101, (2, causal.in_channels, 6, 10)).float()
        assert torch.equal(flat_convolution(causal)(frame), causal(frame[:, :, None])[:, :, 0])
    assert (vae.encoder.conv_in.in_channels, vae.decoder.conv_out.out_channels) == (4, 4)


@pytest.mark.parametrize(("colours", "channels"), [(3, 4), (4, 8)], ids=["RGB", "RGBA"])
@pytest.mark.parametrize("sides", [(32, 32), (24, 56), (8, 40)])
@torch.inference_mode()
def test_the_flat_autoencoder_is_the_causal_one(sides: tuple[int, int], colours: int, channels: int) -> None:
    """In float64, where another order of adding up is all that may differ; of pictures, not a single byte does."""
    torch.manual_seed(0)
    vae = tiny_vae(channels=channels, colours=colours).eval().double()
    picture = torch.rand(2, colours, *sides, dtype=torch.float64) * 2 - 1
    moments = vae._encode(picture[:, :, None])[:, :, 0]
    torch.testing.assert_close(FlatEncoder(vae)(picture), moments, atol=1e-12, rtol=0)
    latents = moments[:, :channels]
    decoded = vae.decode(latents[:, :, None], return_dict=False)[0][:, :, 0]
    flat = FlatDecoder(vae)(latents)
    torch.testing.assert_close(flat.clamp(-1, 1), decoded, atol=1e-12, rtol=0)
    assert torch.equal(to_pixels(flat), to_pixels(decoded))


@pytest.mark.parametrize("cells", [(4, 4), (7, 3), (1, 6)])
def test_positions_are_diffusers_own(cells: tuple[int, int], tmp_path: Path) -> None:
    """To the last bit but one of the cosines: the angles themselves are equal."""
    manifest = load_source(write_tiny_qwen_image(tmp_path / "tiny")).manifest
    image, text = tiny_transformer().pos_embed([[(1, *cells)]], max_txt_seq_len=512, device=torch.device("cpu"))
    tables = [torch.from_numpy(tensor.array[0]) for tensor in derive(manifest, Layout(*cells, 512))]
    for got, expected in zip(tables, (image.real, image.imag, text.real, text.imag), strict=True):
        torch.testing.assert_close(got.reshape(expected.shape), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize(("layers", "cells"), [(2, (4, 4)), (5, (7, 3)), (10, (1, 6))])
def test_positions_of_layers_are_diffusers_own(layers: int, cells: tuple[int, int], tmp_path: Path) -> None:
    """With ten layers of a small picture, the text stands beyond their number."""
    manifest = load_source(write_tiny_qwen_image_layered(tmp_path / "tiny")).manifest
    shapes = [[(1, *cells)] * (layers + 2)]
    image, text = tiny_transformer(layered=True).pos_embed(shapes, max_txt_seq_len=512, device=torch.device("cpu"))
    layout = Layout(cells[0] * (layers + 1), cells[1], 512, (cells,))
    frames, picture = (layers + 1) * cells[0] * cells[1], cells[0] * cells[1]
    expected = (*torch.split(image, [frames, picture]), text)
    tables = [torch.from_numpy(tensor.array[0]) for tensor in qwen_image_layered.derive(manifest, layout)]
    wanted = [part for one in expected for part in (one.real, one.imag)]
    for got, table in zip(tables, wanted, strict=True):
        torch.testing.assert_close(got.reshape(table.shape), table, atol=1e-7, rtol=0)
