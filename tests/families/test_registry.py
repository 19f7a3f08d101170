"""Where an alias leads, and what the report says about it."""

import json
import struct
from pathlib import Path

import pytest

from families.registry import Declarations, ModelEntry, ModelRegistry, ModelReport, Status, UnknownAlias
from families.registry.report import ModelFormat, OriginKind
from tests.families.conftest import write_json, write_model


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "storage", tmp_path / "manual_downloads"
    for root in (first, second):
        root.mkdir()
    return first, second


def entry(*patterns: str, family: str = "stable-diffusion", embedded: str | None = None) -> ModelEntry:
    return ModelEntry(
        alias="toy-1.5",
        family=family,
        licence="MIT",
        commercial_use=True,
        patterns=patterns,
        embedded=embedded,
    )


def look(declared: ModelEntry, roots: tuple[Path, ...] = (), environment: dict[str, str] | None = None) -> ModelReport:
    registry = ModelRegistry(Declarations(models=(declared,)), roots, environment or {}, Path("/nonexistent"))
    try:
        return registry.resolve(declared.alias).report
    finally:
        registry.close()


def outcomes(report: ModelReport) -> dict[str, str]:
    return {look.place: look.outcome for look in report.looked_at}


def test_roots_then_patterns_then_names_decide(roots: tuple[Path, Path]) -> None:
    first, second = roots
    write_model(second / "exact")
    for name in ("toy-b", "toy-a"):
        write_model(first / name)
    report = look(entry("exact", "toy-*"), roots)
    # The first root's second pattern goes before the second root's first one.
    assert report.path == first / "toy-a"
    assert report.others == (first / "toy-b", second / "exact")
    assert report.origin is not None
    assert (report.origin.kind, report.origin.root, report.origin.pattern) == (OriginKind.ROOT, first, "toy-*")
    assert outcomes(report) == {
        "TRIPTYCH_MODEL_TOY_1_5": "not set",
        str(first / "exact"): "no match",
        str(first / "toy-a"): "chosen",
        str(first / "toy-b"): "an earlier match wins",
        str(second / "exact"): "an earlier match wins",
        str(second / "toy-*"): "no match",
    }


def test_a_match_of_two_patterns_counts_once(roots: tuple[Path, Path]) -> None:
    write_model(roots[0] / "toy")
    report = look(entry("toy", "t*"), roots)
    assert (report.path, report.others) == (roots[0] / "toy", ())


def test_the_environment_comes_first(roots: tuple[Path, Path], tmp_path: Path) -> None:
    write_model(roots[0] / "toy")
    elsewhere = write_model(tmp_path / "elsewhere")
    report = look(entry("toy"), roots, {"TRIPTYCH_MODEL_TOY_1_5": str(elsewhere)})
    assert report.path == elsewhere
    assert report.origin is not None
    assert (report.origin.kind, report.origin.variable) == (OriginKind.ENVIRONMENT, "TRIPTYCH_MODEL_TOY_1_5")
    assert len(report.looked_at) == 1


@pytest.mark.parametrize("value", ["/no/such/place", "x" * 5000])
def test_an_environment_that_leads_nowhere_is_no_reason_to_search_on(roots: tuple[Path, Path], value: str) -> None:
    write_model(roots[0] / "toy")
    report = look(entry("toy", embedded="wardrobe"), roots, {"TRIPTYCH_MODEL_TOY_1_5": value})
    assert (report.status, report.path) == (Status.MISSING, None)
    assert f"TRIPTYCH_MODEL_TOY_1_5 names {value}, which does not exist" in report.problems[0]


def test_an_empty_variable_counts_as_not_set(roots: tuple[Path, Path]) -> None:
    write_model(roots[0] / "toy")
    report = look(entry("toy"), roots, {"TRIPTYCH_MODEL_TOY_1_5": ""})
    assert report.status is Status.FOUND
    assert outcomes(report)["TRIPTYCH_MODEL_TOY_1_5"] == "empty"


def test_the_embedded_model_comes_last(roots: tuple[Path, Path]) -> None:
    report = look(entry("toy", embedded="wardrobe"), roots)
    assert report.origin is not None and report.origin.kind is OriginKind.EMBEDDED
    assert (report.status, report.family, report.format) == (
        Status.FOUND,
        "stable-diffusion",
        ModelFormat.DIFFUSERS,
    )
    write_model(roots[1] / "toy")
    assert look(entry("toy", embedded="wardrobe"), roots).path == roots[1] / "toy"


def test_nothing_found_says_where_it_looked(roots: tuple[Path, Path], tmp_path: Path) -> None:
    report = look(entry("toy"), (roots[0], tmp_path / "absent"))
    assert (report.status, report.digest) == (Status.MISSING, None)
    assert outcomes(report)[str(roots[0] / "toy")] == "no match"
    assert outcomes(report)[str(tmp_path / "absent")] == "no such folder"


def test_patterns_go_down_level_by_level_in_either_case(roots: tuple[Path, Path]) -> None:
    write_model(roots[0] / "hub" / "Toy-Model" / "snapshots" / "0123")
    write_model(roots[0] / ".partial" / "toy-model" / "snapshots" / "0123")
    report = look(entry("*/toy-model/snapshots/*"), roots)
    assert report.path == roots[0] / "hub" / "Toy-Model" / "snapshots" / "0123"
    assert report.others == ()


@pytest.mark.parametrize("suffix", ["ckpt", "pt", "pth", "bin", "PKL"])
def test_pickles_are_refused(roots: tuple[Path, Path], suffix: str) -> None:
    (roots[0] / f"toy.{suffix}").write_bytes(b"\x80\x04.")
    report = look(entry("toy.*"), roots)
    assert report.status is Status.REFUSED
    assert "pickle" in report.problems[0]
    assert "refused: " in outcomes(report)[str(roots[0] / f"toy.{suffix}")]


def test_what_may_be_read_wins_over_an_earlier_pickle(roots: tuple[Path, Path]) -> None:
    (roots[0] / "toy.ckpt").write_bytes(b"\x80\x04.")
    write_model(roots[1] / "toy")
    report = look(entry("toy.ckpt", "toy"), roots)
    assert (report.status, report.path, report.others) == (Status.FOUND, roots[1] / "toy", ())


def test_a_folder_of_pickles_is_refused_and_they_are_named(roots: tuple[Path, Path]) -> None:
    (roots[0] / "toy").mkdir()
    (roots[0] / "toy" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    report = look(entry("toy"), roots)
    assert report.status is Status.REFUSED
    assert "no model_index.json" in report.problems[0] and "pytorch_model.bin" in report.problems[0]


def test_missing_parts_of_a_folder_are_problems(roots: tuple[Path, Path]) -> None:
    folder = write_model(roots[0] / "toy")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "image_encoder": ["transformers", "CLIPVisionModel"],
        "safety_checker": [None, None],
    }
    write_json(folder / "model_index.json", index)
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    problems = look(entry("toy"), roots).problems
    assert "image_encoder/ is missing" in problems
    assert "unet/ has weights in pickle format only, which are never read" in problems
    assert not any(problem.startswith("vae/") for problem in problems)


def write_safetensors(path: Path, *names: str) -> Path:
    """Tensors of one byte each."""
    entries = {name: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i, name in enumerate(names)}
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(len(names)))
    return path


def test_a_single_file_is_known_by_its_tensors(roots: tuple[Path, Path]) -> None:
    names = ("txt_norm.weight", "transformer_blocks.0.img_mod.1.weight")
    write_safetensors(roots[0] / "flux-by-name.safetensors", *names)
    report = look(entry("*.safetensors", family="qwen-image"), roots)
    assert (report.status, report.format, report.family) == (Status.FOUND, ModelFormat.SAFETENSORS, "qwen-image")
    assert (report.file_count, report.problems) == (1, ())


def test_a_single_file_that_nobody_knows_has_no_family(roots: tuple[Path, Path]) -> None:
    file = write_safetensors(roots[0] / "sdxl.safetensors", "mystery.weight")
    report = look(entry("*.safetensors"), roots)
    assert (report.status, report.format, report.family) == (Status.FOUND, ModelFormat.SAFETENSORS, None)
    assert report.problems[0].startswith(f"{file} holds no known model")


def test_a_gguf_file_is_told_by_its_content(roots: tuple[Path, Path]) -> None:
    empty = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)
    (roots[0] / "toy.gguf").write_bytes(empty)
    report = look(entry("*.gguf"), roots)
    assert (report.status, report.format, report.size_bytes) == (Status.FOUND, ModelFormat.GGUF, len(empty))
    (roots[0] / "toy.gguf").write_bytes(empty[:-1])
    assert look(entry("*.gguf"), roots).status is Status.REFUSED


def test_a_truncated_file_is_refused(roots: tuple[Path, Path]) -> None:
    file = write_safetensors(roots[0] / "a.safetensors", "x", "y")
    file.write_bytes(file.read_bytes()[:-1])
    report = look(entry("*.safetensors"), roots)
    assert report.status is Status.REFUSED
    assert "is truncated" in report.problems[0]


def test_a_pickle_under_another_name_is_refused(roots: tuple[Path, Path]) -> None:
    (roots[0] / "a.safetensors").write_bytes(b"\x80\x02" + bytes(100))
    report = look(entry("*.safetensors"), roots)
    assert report.status is Status.REFUSED
    assert "is a pickle" in report.problems[0]


def test_truncated_weights_in_a_folder_are_a_problem(roots: tuple[Path, Path]) -> None:
    folder = write_model(roots[0] / "toy")
    weights = write_safetensors(folder / "unet" / "diffusion_pytorch_model.safetensors", "x", "y")
    assert look(entry("toy"), roots).problems == ()
    weights.write_bytes(weights.read_bytes()[:-1])
    report = look(entry("toy"), roots)
    assert report.status is Status.FOUND
    assert report.problems[0].startswith(f"{weights} is truncated")


def test_the_family_is_read_from_the_content(roots: tuple[Path, Path]) -> None:
    folder = write_model(roots[0] / "sdxl-by-name")
    report = look(entry("sdxl*", family="stable-diffusion-xl"), roots)
    assert (report.family, report.declared_family) == ("stable-diffusion", "stable-diffusion-xl")
    assert "declared as stable-diffusion-xl, but the content is stable-diffusion" in report.problems
    write_json(folder / "model_index.json", {"_class_name": "NoPipeline"})
    report = look(entry("sdxl*"), roots)
    assert report.family is None
    assert "'NoPipeline'; known are " in report.problems[0]


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xed\xa0\x80"], ids=["open", "list", "deep", "surrogate"])
def test_a_broken_index_is_refused(roots: tuple[Path, Path], text: str) -> None:
    folder = write_model(roots[0] / "toy")
    (folder / "model_index.json").write_bytes(text.encode("latin-1"))
    report = look(entry("toy"), roots)
    assert report.status is Status.REFUSED
    assert "model_index.json" in report.problems[0]


def test_broken_links_and_loops_do_no_harm(roots: tuple[Path, Path]) -> None:
    folder = write_model(roots[0] / "toy")
    (folder / "unet" / "weights.safetensors").symlink_to("/no/such/blob")
    (folder / "loop").symlink_to(folder)
    (roots[0] / "dangling.safetensors").symlink_to("/no/such/blob")
    report = look(entry("toy", "dangling*"), roots)
    assert report.problems == ("unet/weights.safetensors cannot be read",)
    assert outcomes(report)[str(roots[0] / "dangling.safetensors")] == "refused: it cannot be read"


def test_size_counts_every_file_but_hidden_ones(roots: tuple[Path, Path]) -> None:
    folder = write_model(roots[0] / "toy")
    (folder / ".git").mkdir()
    (folder / ".git" / "objects").write_bytes(bytes(1000))
    expected = [path.stat().st_size for path in folder.rglob("*.json")]
    report = look(entry("toy"), roots)
    assert (report.size_bytes, report.file_count) == (sum(expected), len(expected))


def test_an_unknown_alias_lists_the_known_ones() -> None:
    registry = ModelRegistry(Declarations(models=(entry(),)), (), {}, Path("/nonexistent"))
    with pytest.raises(UnknownAlias, match=r"unknown alias 'nope'; known aliases: toy-1\.5"):
        registry.report("nope")
    registry.close()


def test_a_misspelt_variable_is_reported() -> None:
    environment = {"TRIPTYCH_MODEL_TOY": "/x", "TRIPTYCH_MODEL_TOY_1_5": "/y"}
    registry = ModelRegistry(Declarations(models=(entry(),)), (), environment, Path("/nonexistent"))
    assert registry.problems == (
        "environment variable TRIPTYCH_MODEL_TOY belongs to no alias; known are TRIPTYCH_MODEL_TOY_1_5",
    )
    registry.close()


def test_reports_survive_json(roots: tuple[Path, Path]) -> None:
    write_model(roots[0] / "toy")
    report = look(entry("toy"), roots)
    assert ModelReport.model_validate(json.loads(report.model_dump_json())) == report
