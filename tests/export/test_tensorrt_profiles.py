"""Profiles, flags, caches and the environment of engine builds, without building."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.runtimes.tensorrt_library import TENSORRT, TENSORRT_RTX
from export.errors import RecipeError
from export.recipe import EngineFlags, Range, ShapeProfile, Target
from export.tensorrt import environment
from export.tensorrt.environment import LocalGpu, engine_environment
from export.tensorrt.options import apply_flags
from export.tensorrt.profiles import engine_profiles, resolve
from export.tensorrt.timing_cache import TimingCache, timing_cache
from families.catalog import ModelSource
from families.manifest import Component
from families.tensors import ComponentSignature, DType, TensorSpec


def test_pixels_become_latent_cells(source: ModelSource) -> None:
    wanted = ShapeProfile(
        batch=Range(min=1, opt=2, max=8), width=Range(min=64, opt=128, max=256), height=Range(min=64, opt=64, max=72)
    )
    (profile,) = engine_profiles(source.manifest, Component.DENOISER, (wanted,))
    sample, timestep, context = profile.inputs
    assert (sample.min, sample.opt, sample.max) == ((1, 4, 8, 8), (2, 4, 8, 16), (8, 4, 9, 32))
    assert (timestep.min, timestep.max) == ((1,), (8,))
    assert context.opt == (2, 16, 32)


def test_without_sides_the_models_own_range_counts(source: ModelSource) -> None:
    (profile,) = engine_profiles(source.manifest, Component.VAE_DECODER, (ShapeProfile(),))
    (latents,) = profile.inputs
    assert (latents.min, latents.opt, latents.max) == ((1, 4, 8, 8), (2, 4, 8, 8), (4, 4, 256, 256))
    assert latents.max[0] == 4, "no call of the decoder has more rows"


def test_a_picture_that_is_encoded_keeps_its_pixels(source: ModelSource) -> None:
    wanted = ShapeProfile(width=Range(min=64, opt=128, max=256), height=Range(min=64, opt=64, max=72))
    (profile,) = engine_profiles(source.manifest, Component.VAE_ENCODER, (wanted,))
    (pixels,) = profile.inputs
    assert (pixels.min[1:], pixels.opt[1:], pixels.max[1:]) == ((64, 64, 3), (64, 128, 3), (72, 256, 3))


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (ShapeProfile(width=Range(min=64, opt=64, max=4096)), r"profiles\[1\]\.width\.max: 4096 .* 64 to 2048"),
        (ShapeProfile(height=Range(min=8, opt=64, max=64)), r"profiles\[1\]\.height\.min: 8 .* 64 to 2048"),
        (ShapeProfile(height=Range(min=64, opt=100, max=128)), r"profiles\[1\]\.height\.opt: 100 .* multiple of 8"),
        (ShapeProfile(text_length=Range(min=1, opt=1, max=8)), r"profiles\[1\]\.text_length\.min: 1 .* 16 to 64"),
        (ShapeProfile(text_length=Range(min=16, opt=16, max=80)), r"profiles\[1\]\.text_length\.max: 80 .* 16 to 64"),
    ],
)
def test_profiles_outside_of_the_models_range_name_the_key(
    profile: ShapeProfile, says: str, source: ModelSource
) -> None:
    with pytest.raises(RecipeError, match=says):
        engine_profiles(source.manifest, Component.DENOISER, (ShapeProfile(), profile))


def test_a_fixed_text_length_takes_no_range(source: ModelSource) -> None:
    sample, timestep, context = source.manifest.denoiser.inputs
    fixed = replace(source.manifest.denoiser, inputs=(sample, timestep, replace(context, dims=(16, 32))))
    profile = ShapeProfile(text_length=Range(min=16, opt=16, max=16))
    with pytest.raises(RecipeError, match=r"profiles\[0\]\.text_length: tiny has a fixed text length of 16"):
        engine_profiles(replace(source.manifest, denoiser=fixed), Component.DENOISER, (profile,))


def test_a_symbol_without_a_range_is_named() -> None:
    signature = ComponentSignature((TensorSpec("tokens", DType.FP32, ("image_tokens", 64)),), ())
    with pytest.raises(RecipeError, match=r"'tokens' .* 'image_tokens'"):
        resolve(signature, {"batch": Range(min=1, opt=1, max=1)})


def test_flags_that_a_library_lacks_are_named() -> None:
    """A plain TensorRT that builds for its own GPU, and one that knows no weight streaming."""
    module = SimpleNamespace(__version__="10.0", BuilderFlag=SimpleNamespace(REFIT=1))
    config = SimpleNamespace(set_flag=lambda flag: None)
    with pytest.raises(RecipeError, match=r"engine\.compute_capabilities: tensorrt compiles for the GPU"):
        apply_flags(module, TENSORRT, config, EngineFlags(compute_capabilities=("8.9",)))
    with pytest.raises(RecipeError, match=r"engine\.weight_streaming: tensorrt 10\.0 has no such option"):
        apply_flags(module, TENSORRT, config, EngineFlags(weight_streaming=True))


@pytest.fixture
def trt() -> object:
    return pytest.importorskip("tensorrt_rtx_bindings")


def _config(trt: object) -> tuple[object, object]:
    from engine.runtimes.tensorrt_log import library_log

    builder = trt.Builder(library_log(trt)[0])  # type: ignore[attr-defined]
    return builder, builder.create_builder_config()


def test_timing_caches_outlive_builds_and_broken_files(trt: object, tmp_path: Path) -> None:
    cache = timing_cache(tmp_path, TENSORRT_RTX, "1.7", LocalGpu("NVIDIA L4", "8.9"))
    assert cache.path.name == "tensorrt-rtx-1.7-nvidia-l4-sm8.9.timing"
    _builder, config = _config(trt)
    cache.attach(config)
    cache.merge(config)
    first = cache.path.read_bytes()
    assert first
    cache.path.write_bytes(b"no cache")
    _builder, config = _config(trt)
    cache.attach(config)
    cache.merge(config)
    assert cache.path.read_bytes() == first
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".lock", ".timing"]


class _PretendedCaches:
    """A library whose caches are sets of lines, to see what is merged."""

    def __init__(self, lines: set[bytes]) -> None:
        self.lines = lines

    def serialize(self) -> bytes:
        return b"\n".join(sorted(self.lines))

    def combine(self, other: "_PretendedCaches", *, ignore_mismatch: bool) -> bool:
        self.lines |= other.lines
        return True


class _PretendedConfig:
    def __init__(self) -> None:
        self.cache = _PretendedCaches(set())

    def create_timing_cache(self, content: bytes) -> _PretendedCaches:
        return _PretendedCaches(set(content.split(b"\n")) - {b""})

    def set_timing_cache(self, cache: _PretendedCaches, *, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> _PretendedCaches:
        return self.cache


def test_builds_at_once_lose_nothing(tmp_path: Path) -> None:
    cache = TimingCache(tmp_path / "shared.timing")
    cache.path.write_bytes(b"before")

    def build(number: int) -> None:
        config = _PretendedConfig()
        cache.attach(config)
        assert b"before" in config.cache.lines
        config.cache.lines.add(f"kernel {number}".encode())
        cache.merge(config)

    threads = [threading.Thread(target=build, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(cache.path.read_bytes().split(b"\n")) == {b"before", *(f"kernel {n}".encode() for n in range(8))}


def test_the_environment_names_library_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        (): "| NVIDIA-SMI 580.1  Driver Version: 580.1  CUDA Version: 13.0 |",
        ("--query-gpu=name,compute_cap", "--format=csv,noheader"): "NVIDIA L4, 8.9\nNVIDIA L4, 8.9",
    }
    monkeypatch.setattr(environment, "_query", lambda *arguments: answers[arguments])
    environment.local_gpu.cache_clear()
    try:
        found = dict(engine_environment(Target.TENSORRT_RTX))
        assert (found["gpu"], found["compute_capability"], found["cuda"]) == ("NVIDIA L4", "8.9", "13.0")
        assert found["library"].startswith("tensorrt-rtx ")
        assert engine_environment(Target.ONNX) == ()
    finally:
        environment.local_gpu.cache_clear()


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    environment.local_gpu.cache_clear()
    try:
        assert environment.local_gpu() == LocalGpu()
    finally:
        environment.local_gpu.cache_clear()


def test_asking_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom export.tensorrt.environment import engine_environment\nfrom export.recipe import Target\n"
        "assert engine_environment(Target.TENSORRT)\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'tensorrt', 'tensorrt_rtx_bindings'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
