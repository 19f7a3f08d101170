"""Publishes vision models: the graph and its manifest, always run by ONNX Runtime in the Python backend."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export.file_hash import file_sha256
from export.publishing.options import KEEP_VERSIONS, PublishOptions, Runtime
from export.publishing.pbtxt import render
from export.publishing.publication import Payload
from export.publishing.publish import Published, publish_plans
from export.publishing.release import MODEL_FILE, NO_BYTECODE, Plan, texts_digest
from export.publishing.seal import Seal
from export.publishing.served_models import COMPONENT_BATCHING, COMPONENT_CLASS, KINDS, model_file
from export.publishing.triton_config import InstanceGroup, ModelConfig, SpecificVersions
from families.manifest import Component
from families.repository import ONNX_FILE
from families.vision.manifest import MANIFEST_FILE, VisionTask
from families.vision.signature import MAX_BATCH, signature
from families.vision.source import VisionSource


@dataclass(frozen=True, slots=True)
class VisionPlan(Plan):
    """Of one vision model."""

    source: VisionSource
    options: PublishOptions

    @property
    def part(self) -> Component | VisionTask:
        """See Plan."""
        return self.source.manifest.task

    def config(self, version: int) -> str:
        """See Plan."""
        return render(vision_config(self.source, self.options, version))

    def files(self) -> Iterator[tuple[Path, Path]]:
        """See Plan. Raises PublishError where the graph is not what the manifest says."""
        from export.graph.vision import files_beside  # noqa: PLC0415 - onnx is loaded only where something is written

        graph = self.source.graph
        yield graph, Path(ONNX_FILE)
        for name in files_beside(self.source):
            yield graph.parent / name, Path(name)


def publish_vision(
    source: VisionSource, repository: Path, options: PublishOptions, keep: int = KEEP_VERSIONS
) -> Published:
    """Make this the newest version of a vision model; nothing is touched where nothing changed. Raises PublishError."""
    manifest = source.manifest.dump()
    texts = {MANIFEST_FILE: manifest, MODEL_FILE: model_file(COMPONENT_CLASS), NO_BYTECODE: ""}
    seal = Seal(
        contract=hashlib.sha256(manifest.encode()).hexdigest(),
        kind=Payload.ONNX.value,
        texts=texts_digest(texts),
        weights=file_sha256(source.graph),
    )
    plan = VisionPlan(repository / source.triton_name, texts, seal, source, options)
    return publish_plans(source.name, [plan], repository, keep)


def vision_config(source: VisionSource, options: PublishOptions, version: int) -> ModelConfig:
    """Triton gathers pictures of one size into one call."""
    border = signature(source.manifest)
    return ModelConfig(
        name=source.triton_name,
        backend="python",
        max_batch_size=MAX_BATCH,
        inputs=border.inputs,
        outputs=border.outputs,
        instances=(InstanceGroup(KINDS[options.device], count=options.instances, gpus=options.gpus),),
        versions=SpecificVersions((version,)),
        batching=COMPONENT_BATCHING,
        parameters=(("runtime", Runtime.ONNXRUNTIME.value), ("threads", str(options.threads))),
    )
