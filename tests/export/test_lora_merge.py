"""A recipe's LoRA become part of a model of its own name; the model itself stays what it is."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError

from engine.modules import load_source_module
from export.build import Builder
from export.errors import PublishError, RecipeError
from export.merge import merged_source
from export.publishing.options import PublishOptions, Runtime
from export.publishing.prepare import prepare_model
from export.recipe import Recipe, RecipeLora
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE
from tests.support.tiny_lora import attention, write_kohya

RECIPE = Recipe(
    name="stripes",
    model="tiny",
    components=(Component.DENOISER,),
    loras=(RecipeLora(name="stripes", scale=0.8),),
    publish_as="tiny-stripes",
)


@pytest.fixture
def own_source(source: ModelSource, tmp_path: Path) -> ModelSource:
    folder = Path(shutil.copytree(source.folder, tmp_path / "models" / "tiny"))
    write_kohya(folder, folder / "loras" / "stripes.safetensors", parts=("unet",), chosen=attention, seed=1)
    return load_source(folder)


def test_the_graph_holds_the_adapter(own_source: ModelSource, tmp_path: Path) -> None:
    merged = merged_source(own_source, RECIPE)
    assert merged.manifest.name == "tiny-stripes" and own_source.manifest.name == "tiny"
    builder = Builder(tmp_path / "runtime")
    (artefact,) = builder.build(merged, RECIPE)  # its checks compare with the merged weights in torch
    inputs = (
        torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
        torch.tensor([500.0, 20.0]),
        torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(2)),
    )
    session = onnxruntime.InferenceSession(str(artefact.folder / ONNX_FILE))
    names = [spec.name for spec in merged.manifest.denoiser.inputs]
    (answer,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    with torch.inference_mode():
        with_it, without = (
            load_source_module(one, Component.DENOISER)(*inputs).numpy() for one in (merged, own_source)
        )
    assert np.abs(answer - with_it).max() < 1e-3
    assert np.abs(with_it - without).max() > 0.05


def test_hashes_tell_adapter_and_scale_apart(own_source: ModelSource, tmp_path: Path) -> None:
    builder = Builder(tmp_path / "runtime")
    weaker = RECIPE.model_copy(update={"loras": (RecipeLora(name="stripes", scale=0.4),)})
    merged = [merged_source(own_source, recipe) for recipe in (RECIPE, weaker)]
    path = own_source.folder / "loras" / "stripes.safetensors"
    hashes = [builder.source_hash(one, Component.DENOISER) for one in (own_source, *merged)]
    write_kohya(own_source.folder, path, parts=("unet",), chosen=attention, seed=2)
    hashes.append(builder.source_hash(merged[0], Component.DENOISER))
    assert len(set(hashes)) == 4
    # What the adapter leaves alone is shared.
    assert len({builder.source_hash(one, Component.VAE_DECODER) for one in (own_source, *merged)}) == 1


def test_mistakes(own_source: ModelSource, tmp_path: Path) -> None:
    dots = RECIPE.model_copy(update={"loras": (RecipeLora(name="dots"),)})
    with pytest.raises(RecipeError, match=r"recipe stripes: loras: no LoRA 'dots'; tiny has stripes"):
        merged_source(own_source, dots)
    with pytest.raises(ValidationError, match="needs a name of its own"):
        Recipe(name="stripes", model="tiny", loras=(RecipeLora(name="stripes"),))
    torch_options = PublishOptions(runtime=Runtime.TORCH)
    merged = merged_source(own_source, RECIPE)
    with pytest.raises(PublishError, match="tiny-stripes: torch serves weights as they are"):
        prepare_model(merged, tmp_path / "runtime", tmp_path / "repository", torch_options, recipe=RECIPE)
    assert not (tmp_path / "repository").exists()
