"""The published repository's layout, and the marks of those who serve from it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from families.catalog import load_source
from families.contract import contract
from families.manifest import Component, SamplingDefaults, triton_model_name
from families.manifest_json import dump_manifest
from families.repository import MANIFEST_FILE, newest_release, plan_file, version_folder, versions
from families.serving_mark import ServingMark, is_served


def _publish(repository: Path, component: Component, *numbers: str) -> None:
    for number in numbers:
        (repository / triton_model_name("toy", component) / number).mkdir(parents=True)


def test_versions_are_the_numbers(tmp_path: Path) -> None:
    for name in ("10", "2", ".3.partial", "warmup"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert versions(tmp_path) == (2, 10)
    assert versions(tmp_path / "nowhere") == ()


def test_a_release_is_what_every_component_has(tmp_path: Path, model_folder: Path) -> None:
    manifest = load_source(model_folder).manifest
    _publish(tmp_path, Component.TEXT_ENCODER, "1", "2", "3")
    _publish(tmp_path, Component.VAE_ENCODER, "1", "2", "3")
    _publish(tmp_path, Component.DENOISER, "1", "2", "4")
    for version in "12":
        path = tmp_path / "toy.denoiser" / version / MANIFEST_FILE
        path.write_text(dump_manifest(manifest), encoding="utf-8")
    assert newest_release(tmp_path, "toy") is None
    _publish(tmp_path, Component.VAE_DECODER, "2", "3")
    assert newest_release(tmp_path, "toy") == 2
    assert version_folder(tmp_path, "toy", Component.VAE_DECODER) == tmp_path / "toy.vae_decoder" / "2"
    assert version_folder(tmp_path, "toy", Component.VAE_DECODER, 3) == tmp_path / "toy.vae_decoder" / "3"


def test_engines_are_named_by_their_gpu() -> None:
    assert [plan_file(capability) for capability in ("8.9", "12.0")] == ["model.sm89.plan", "model.sm120.plan"]


def test_marks_are_seen_by_others_and_released(tmp_path: Path) -> None:
    first, second = ServingMark(tmp_path), ServingMark(tmp_path)
    assert is_served(tmp_path)
    first.release()
    first.release()
    assert is_served(tmp_path)
    second.release()
    assert not is_served(tmp_path)
    assert not is_served(tmp_path / "nowhere")


def test_a_mark_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from families.serving_mark import ServingMark\n"
        "mark = ServingMark(Path(sys.argv[1])); print('marked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"marked\n"
        assert is_served(tmp_path)
        holder.kill()
    assert not is_served(tmp_path)


def test_the_contract_is_what_callers_must_know(model_folder: Path) -> None:
    manifest = load_source(model_folder).manifest
    agreed = contract(manifest, [b"tokenizer"])
    same = replace(manifest, licence="another", defaults=SamplingDefaults(3, 1.0, "euler"))
    assert contract(same, [b"tokenizer"]) == agreed
    assert contract(manifest, [b"another tokenizer"]) != agreed
    longer = replace(manifest, prompts=(replace(manifest.prompts[0], length=manifest.prompts[0].length + 1),))
    assert contract(longer, [b"tokenizer"]) != agreed
