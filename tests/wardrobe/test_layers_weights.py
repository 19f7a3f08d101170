from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from families.catalog import load_source
from wardrobe.training.layers_export import SIZE_LIMIT, WEIGHTS
from wardrobe.world.sheets import NAMES


def test_the_folder_is_small_and_holds_safetensors_alone() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= SIZE_LIMIT
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".jinja"}


def test_diffusers_own_classes_load_every_part() -> None:
    transformer = QwenImageTransformer2DModel.from_pretrained(WEIGHTS / "transformer")
    assert transformer.config.use_layer3d_rope and transformer.config.use_additional_t_cond
    vae = AutoencoderKLQwenImage.from_pretrained(WEIGHTS / "vae")
    assert vae.config.input_channels == 4
    assert len(vae.config.latents_mean) == len(vae.config.latents_std) == vae.config.z_dim
    encoder = Qwen2_5_VLForConditionalGeneration.from_pretrained(WEIGHTS / "text_encoder")
    assert encoder.config.text_config.hidden_size == transformer.config.joint_attention_dim
    assert Qwen2Tokenizer.from_pretrained(WEIGHTS / "tokenizer")("a red dress").input_ids
    assert FlowMatchEulerDiscreteScheduler.from_pretrained(WEIGHTS / "scheduler").config.use_dynamic_shifting


def test_its_manifest_tells_what_it_makes() -> None:
    manifest = load_source(WEIGHTS).manifest
    assert (manifest.family, manifest.licence) == ("qwen-image-layered", "Apache-2.0")
    assert manifest.layers is not None
    assert manifest.layers.names == NAMES
    assert (manifest.layers.usual, manifest.layers.resolutions) == (5, (128,))
    assert (manifest.defaults.steps, manifest.defaults.guidance_scale) == (4, 1.0)
