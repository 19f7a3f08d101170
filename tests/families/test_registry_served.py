"""Which aliases can be served, and what is said of those that cannot."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from families.manifest import Component
from families.registry import (
    Declarations,
    ModelEntry,
    ModelRegistry,
    UnknownAlias,
    UnservableAlias,
    found_aliases,
    open_alias,
)
from tests.support.checkpoints import write_sparse
from tests.support.tiny_model import write_tiny_model


def _entry(alias: str, family: str = "stable-diffusion", embedded: str | None = None) -> ModelEntry:
    return ModelEntry(
        alias=alias,
        family=family,
        licence="MIT",
        commercial_use=True,
        patterns=(alias, f"{alias}.*"),
        embedded=embedded,
    )


ENTRIES = (_entry("house.v1"), _entry("flux", "flux1"), _entry("wardrobe", embedded="wardrobe"))
FLUX = {"double_blocks.0.img_mod.lin.weight": (6, 2), "double_blocks.0.img_attn.qkv.weight": (6, 2)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def root(tmp_path: Path, tiny: Path) -> Path:
    """A root that holds the model of `house.v1`, the test's own."""
    shutil.copytree(tiny, tmp_path / "storage" / "house.v1")
    return tmp_path / "storage"


@contextmanager
def opened(root: Path, environment: dict[str, str] | None = None) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(Declarations(models=ENTRIES), (root,), environment or {}, root.parent / "runtime")
    try:
        yield registry
    finally:
        registry.close()


def test_a_model_is_named_after_its_alias(root: Path, tiny: Path) -> None:
    with opened(root) as registry:
        assert open_alias(registry, "house.v1").path == root / "house.v1"
    with opened(root, {"TRIPTYCH_MODEL_HOUSE_V1": str(tiny)}) as registry:
        source = open_alias(registry, "house.v1")
    assert (source.path, source.manifest.name) == (tiny, "house.v1")
    assert source.weights(Component.DENOISER)[0].files[0].is_relative_to(tiny)


def test_all_that_lead_somewhere_are_found_and_nothing_is_hashed(root: Path) -> None:
    with opened(root) as registry:
        found = found_aliases(registry)
    # `wardrobe` is embedded: it is there, but nobody put it there.
    assert list(found) == ["house.v1"]
    assert not (root.parent / "runtime").exists()


def test_an_embedded_model_is_opened_where_it_is_asked_for(root: Path) -> None:
    with opened(root) as registry:
        assert open_alias(registry, "wardrobe").manifest.name == "wardrobe"


def _flux(root: Path) -> None:
    write_sparse(root / "flux.safetensors", FLUX)


def _of_another_family(root: Path) -> None:
    shutil.copytree(root / "house.v1", root / "flux")


def _pickled(root: Path) -> None:
    (root / "flux.ckpt").write_bytes(b"\x80\x04.")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_flux, "flux.safetensors: flux1 is recognised but not served yet"),
        (_of_another_family, "flux: declared as flux1, but the content is stable-diffusion"),
        (_pickled, "pickle formats can run code"),
    ],
)
def test_what_cannot_be_served_is_an_error_by_name_and_a_warning_else(
    prepare: object, reason: str, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(prepare)
    prepare(root)
    with opened(root) as registry:
        with pytest.raises(UnservableAlias) as caught:
            open_alias(registry, "flux")
        with caplog.at_level(logging.WARNING):
            assert list(found_aliases(registry)) == ["house.v1"]
    assert str(caught.value).startswith(f"alias flux cannot be served: {root}") and reason in str(caught.value)
    assert [record.getMessage() for record in caplog.records] == [str(caught.value)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "is truncated"),
        ("vae/diffusion_pytorch_model.safetensors", "holds no weights"),
        ("text_encoder/config.json", r"text_encoder/config\.json is missing"),
    ],
)
def test_a_model_that_is_not_whole_is_found_out_before_it_is_served(name: str, reason: str, root: Path) -> None:
    damaged = root / "house.v1" / name
    if reason == "is truncated":
        damaged.write_bytes(damaged.read_bytes()[:-100])
    else:
        damaged.unlink()
    with opened(root) as registry, pytest.raises(UnservableAlias, match=reason) as caught:
        open_alias(registry, "house.v1")
    assert "alias house.v1 cannot be served" in str(caught.value)


def test_an_alias_that_leads_nowhere(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(root, {"TRIPTYCH_MODEL_FLUX": "/no/such/place"}) as registry:
        with pytest.raises(UnservableAlias, match="TRIPTYCH_MODEL_FLUX names /no/such/place, which does not exist"):
            open_alias(registry, "flux")
        assert list(found_aliases(registry)) == ["house.v1"]
    assert "alias flux cannot be served: TRIPTYCH_MODEL_FLUX names /no/such/place" in caplog.text
    with opened(root) as registry:
        with pytest.raises(UnservableAlias, match=r"found nowhere; `triptych models resolve flux` tells"):
            open_alias(registry, "flux")
        with pytest.raises(UnknownAlias, match=r"known aliases: house\.v1, flux, wardrobe"):
            open_alias(registry, "house")
