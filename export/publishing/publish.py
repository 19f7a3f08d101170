"""Publishes models into a Triton repository: self-contained, portable, and never at the expense of what is served.

A model that changed becomes the next version beside the ones before, whole in one rename a component; then each
`config.pbtxt` is replaced by one rename and points to it. Files of a version never change, so that a Triton which
serves it is not disturbed, nor takes the new one before it is asked to (`export.publishing.live`).
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.artefacts.artefact import check_file
from export.artefacts.staging import link_or_copy, locked, staged
from export.errors import PublishError
from export.publishing.options import KEEP_VERSIONS, PublishOptions
from export.publishing.pbtxt import render
from export.publishing.publication import Publication
from export.publishing.release import CONFIG_FILE, Plan, entry_plans, release_version, version_texts
from export.publishing.seal import SEAL_FILE
from export.publishing.served_models import Entry, model_config
from families.manifest import Component, ModelManifest
from families.repository import FIRST_VERSION, versions
from families.serving_mark import is_served
from families.vision.manifest import VisionTask, vision_model_name

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """The release that the repository now holds of a model. `names` are its Triton models, `changed` what was new."""

    model: str
    version: int
    names: tuple[str, ...]
    changed: frozenset[Component | VisionTask]


def publish(publications: Sequence[Publication], repository: Path, keep: int = KEEP_VERSIONS) -> Published:
    """Make these components of one model its newest release; nothing is touched where nothing changed.

    Of each Triton model the newest `keep` versions stay, and older ones that a process of this machine still serves.
    Raises PublishError and leaves the former release when a file cannot be written.
    """
    plans = [plan for publication in publications for plan in entry_plans(publication, repository)]
    return publish_plans(publications[0].source.manifest.name, plans, repository, keep)


def publish_plans(model: str, plans: Sequence[Plan], repository: Path, keep: int = KEEP_VERSIONS) -> Published:
    """`publish` of Triton models of any kind that are one model's."""
    names = tuple(plan.folder.name for plan in plans)
    version = release_version(plans)
    changed: frozenset[Component | VisionTask] = frozenset()
    if not all(plan.has(version) and plan.is_configured(version) for plan in plans):
        try:
            with locked(repository / "publish"):  # one lock file, which Triton takes for no model
                version = release_version(plans)
                changed = _write(plans, version)
                for plan in plans:
                    _retire(plan.folder, max(1, keep))
        except OSError as error:
            raise PublishError(f"{repository}: {model} cannot be published: {error}") from error
    _withdraw(repository, [name for name in _all_names(model) if name not in names])
    return Published(model, version, names, changed)


def withdraw_others(repository: Path, models: Iterable[str]) -> None:
    """Remove published models that are not among these; folders that we did not publish stay."""
    _withdraw(repository, _published_others(repository, models))


def prune_others(repository: Path, models: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As `withdraw_others`, but what a process of this machine serves stays. Names of what went, and of what stayed."""
    others = _published_others(repository, models)
    served = {name for name in others if any(is_served(seal.parent) for seal in _seals(repository, name))}
    _withdraw(repository, others - served)
    return tuple(sorted(others - served)), tuple(sorted(served))


def _published_others(repository: Path, models: Iterable[str]) -> set[str]:
    """Names of published Triton models that belong to none of these models."""
    kept = {name for model in models for name in _all_names(model)}
    return {seal.parent.parent.name for seal in _seals(repository, "*")} - kept


def generated_files(manifest: ModelManifest, entry: Entry, options: PublishOptions) -> dict[str, str]:
    """Text by path inside the Triton model's folder: everything that is written, not linked, of a first version."""
    texts = version_texts(manifest, entry, options)
    return {CONFIG_FILE: render(model_config(manifest, entry, options))} | {
        f"{FIRST_VERSION}/{name}": text for name, text in texts.items()
    }


def _write(plans: Sequence[Plan], version: int) -> frozenset[Component | VisionTask]:
    """Add the version where it is missing, then point every configuration to it; which components changed.

    Configurations come last and together: a Triton that starts in between finds the former release or the new one.
    """
    added: list[Path] = []
    changed: set[Component | VisionTask] = set()
    try:
        for plan in plans:
            folder = plan.folder / str(version)
            if not folder.is_dir():
                with staged(folder) as staging:
                    _fill(staging, plan)
                added.append(folder)
                changed.add(plan.part)
        drafts = {
            plan.folder / CONFIG_FILE: _draft(plan.folder, plan.config(version))
            for plan in plans
            if not plan.is_configured(version)
        }
    except BaseException:
        for folder in added:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    for path, draft in drafts.items():
        draft.replace(path)
    return frozenset(changed | {plan.part for plan in plans if plan.folder / CONFIG_FILE in drafts})


def _fill(folder: Path, plan: Plan) -> None:
    for name, text in plan.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for path, place in plan.files():
        check_file(path)  # what was altered in the store since it was checked must not be served
        link_or_copy(path, folder / place)
    (folder / SEAL_FILE).write_text(plan.seal.dump(), encoding="utf-8")


def _draft(folder: Path, config: str) -> Path:
    draft = folder / f".{CONFIG_FILE}.draft"
    draft.write_text(config, encoding="utf-8")
    return draft


def _retire(folder: Path, keep: int) -> None:
    """Remove versions beyond the newest `keep`, unless somebody serves them."""
    for version in versions(folder)[:-keep]:
        old = folder / str(version)
        if is_served(old):
            _log.info("%s is still served and stays until a later publication", old)
            continue
        _remove(old)


def _withdraw(repository: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        if any(_seals(repository, name)):
            _remove(repository / name)


def _seals(repository: Path, name: str) -> Iterator[Path]:
    """What marks the versions that we published, of a Triton model or of all (`*`)."""
    return repository.glob(f"{name}/*/{SEAL_FILE}")


def _remove(folder: Path) -> None:
    """Out of sight by one rename, then gone: nobody finds half a folder."""
    aside = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _all_names(model: str) -> tuple[str, ...]:
    """Every Triton model that could be published of a model, whatever the options."""
    seen = tuple(vision_model_name(model, task) for task in VisionTask)
    return (*(Entry(part, native=native).name(model) for part in Component for native in (False, True)), *seen)
