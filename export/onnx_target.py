"""The ONNX target: `model.onnx` (and `model.onnx.data` over 2 GB), checked in ONNX Runtime."""

from export.onnx_graph import GraphMetadata, write_onnx
from export.report import VerificationReport
from export.samples import ReferenceSamples
from export.targets import CompileJob
from export.verify import verify_onnx
from families.repository import ONNX_FILE


class OnnxCompiler:
    """Implements `export.targets.Compiler`."""

    def compile(self, job: CompileJob, samples: ReferenceSamples) -> None:
        """See the protocol."""
        manifest = job.source.manifest
        metadata = GraphMetadata(
            manifest.name, job.component.value, job.fingerprint.source_hash, job.fingerprint.exporter
        )
        module = samples.module(job.component)
        write_onnx(module, manifest.signature(job.component), metadata, job.destination / ONNX_FILE)

    def verify(self, job: CompileJob, samples: ReferenceSamples) -> VerificationReport:
        """See the protocol."""
        return verify_onnx(job.source, job.component, job.destination / ONNX_FILE, samples)
