"""The ONNX target: `model.onnx` (and `model.onnx.data` over 2 GB), checked in ONNX Runtime."""

from torch import nn

from export.artefacts.key import Dialect
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.lowering.precision import TORCH_TYPES
from export.targets import CompileJob
from export.verification.report import VerificationReport
from export.verification.samples import ReferenceSamples
from export.verification.tolerances import tolerance_for
from export.verification.verify import verify_onnx
from families.repository import ONNX_FILE


class OnnxCompiler:
    """Implements `export.targets.Compiler`."""

    def require(self) -> None:
        """See the protocol: torch and onnx come with this package's own extra."""

    def compile(self, job: CompileJob, samples: ReferenceSamples) -> None:
        """See the protocol."""
        manifest = job.source.manifest
        graph, signature = job.key.graph, manifest.signature(job.component)
        metadata = GraphMetadata(manifest.name, job.component.value, graph.weights, job.key.compiler, graph.dialect)
        path = job.destination / ONNX_FILE
        if graph.quantisation is None:
            # In the graph's own type from the start: no float32 copy of weights that are stored in half precision.
            module = samples.module(job.component, TORCH_TYPES[graph.precision])
            write_onnx(module, signature, metadata, path, precision=graph.precision)
            return
        job.progress("calibrating", None)
        quantised = _quantised(job, samples)
        job.progress("writing the graph", None)
        from export.quantise import export_quantised_onnx  # noqa: PLC0415 - the quantiser is an extra

        export_quantised_onnx(quantised, signature, metadata, path, precision=graph.precision)

    def verify(self, job: CompileJob, samples: ReferenceSamples) -> VerificationReport:
        """See the protocol."""
        graph = job.key.graph
        tolerance = tolerance_for(job.component, graph.precision, graph.quantisation)
        # A graph for TensorRT may hold operators that ONNX Runtime lacks; the quantised module has the same numbers.
        replaceable = graph.quantisation is not None and graph.dialect is Dialect.PORTABLE
        stand_in = (lambda: _quantised(job, samples)) if replaceable else None
        return verify_onnx(
            job.source, job.component, job.destination / ONNX_FILE, samples, tolerance, stand_in=stand_in
        )


def _quantised(job: CompileJob, samples: ReferenceSamples) -> nn.Module:
    """The calibrated and rounded module, which computes in eager torch what its graph will."""
    from export.quantise import CALIBRATION_SEED, calibration_inputs, quantise_module  # noqa: PLC0415

    settings = job.key.graph.quantisation
    assert settings is not None
    inputs = calibration_inputs(job.source, job.component, settings, CALIBRATION_SEED)
    return quantise_module(samples.module(job.component), inputs, settings)
