"""The TensorRT runtime: shapes, buffers, graphs on a pretended library and GPU; the real thing where a GPU is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import RuntimeUnavailableError
from engine.runtimes import open_runtime, tensorrt_library
from engine.runtimes.tensorrt import TensorRtRuntime, assemble
from engine.runtimes.tensorrt_context import EngineCallError
from engine.runtimes.tensorrt_contexts import LoadedEngine
from engine.runtimes.tensorrt_description import EngineDescription, read_description, write_description
from engine.runtimes.tensorrt_device import CudaDevice
from engine.runtimes.tensorrt_kernels import KernelCache, kernel_file
from engine.runtimes.tensorrt_library import TENSORRT, TENSORRT_RTX, import_library
from engine.runtimes.tensorrt_log import ErrorTrap
from engine.settings import RuntimeSettings
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import PLAN_FILE
from families.tensors import ComponentSignature, DType, TensorSpec
from tests.engine.pretended_tensorrt import Engine, Graphs, Kernels, PretendedGpu, library

SIGNATURE = ComponentSignature(
    (TensorSpec("sample", DType.FP32, ("width",)), TensorSpec("timestep", DType.FP32, ())),
    (TensorSpec("doubled", DType.FP32, ("width",)),),
)


class Rig:
    """A runtime on a pretended engine, and what to look at."""

    def __init__(
        self, *, graphs: bool = True, shapes: int = 2, rtx: bool = False, kernels: KernelCache | None = None
    ) -> None:
        self.engine = Engine()
        self.gpu = PretendedGpu()
        loaded = LoadedEngine(library(records_graphs=rtx), self.engine, ErrorTrap(), kernels)
        settings = RuntimeSettings(threads=1, cuda_graphs=graphs, cuda_graph_shapes=shapes)
        self.runtime: TensorRtRuntime = assemble(loaded, SIGNATURE, self.gpu, settings)

    def check(self, rows: int, width: int = 4, seed: int = 0) -> torch.Tensor:
        """Run one call and hold it against the formula."""
        generator = torch.Generator().manual_seed(seed)
        sample = torch.randn(rows, width, generator=generator)
        timestep = torch.randn(rows, generator=generator)
        (answer,) = self.runtime.run((sample, timestep))
        torch.testing.assert_close(answer, 2 * sample + timestep[:, None])
        return answer


@pytest.mark.parametrize("rtx", [False, True])
def test_every_call_is_right_before_during_and_after_recording(rtx: bool) -> None:
    rig = Rig(rtx=rtx)
    for seed in range(6):
        for rows in (1, 3):
            rig.check(rows, seed=seed)
    assert rig.gpu.captures == (0 if rtx else 2)


def test_answers_are_the_callers_to_keep() -> None:
    rig = Rig()
    answers = [rig.check(2, seed=seed) for seed in range(6)]
    copies = [answer.clone() for answer in answers]
    rig.check(2, seed=9)
    assert all(torch.equal(answer, copy) for answer, copy in zip(answers, copies, strict=True))
    assert len({answer.data_ptr() for answer in answers}) == len(answers)


def test_buffers_are_of_use_in_every_mode_of_torch() -> None:
    rig = Rig()
    with torch.inference_mode():
        for seed in range(4):
            rig.check(2, seed=seed)
    rig.check(2, seed=5)
    with torch.no_grad():
        rig.check(2, seed=6)
    assert rig.gpu.replays >= 3


def test_a_graph_is_recorded_after_warm_up_and_then_replayed() -> None:
    rig = Rig()
    for seed in range(2):
        rig.check(2, seed=seed)
    assert (rig.gpu.captures, rig.gpu.replays) == (0, 0)
    for seed in range(3):
        rig.check(2, seed=seed)
    assert (rig.gpu.captures, rig.gpu.replays) == (1, 3)


def test_recorded_contexts_keep_their_shapes_while_others_run() -> None:
    rig = Rig()
    for seed in range(4):
        rig.check(2, seed=seed)
    recorded = rig.engine.contexts[-1]
    shapes, addresses = dict(recorded.shapes), dict(recorded.addresses)
    rig.check(4)
    rig.check(2)
    assert (recorded.shapes, recorded.addresses) == (shapes, addresses)


def test_the_oldest_graph_makes_room() -> None:
    rig = Rig(shapes=2)
    for rows in (1, 2, 3):
        for seed in range(4):
            rig.check(rows, seed=seed)
    assert rig.gpu.captures == 3
    rig.check(3)
    rig.check(2)
    assert rig.gpu.captures == 3, "the two latest are kept"
    for seed in range(3):
        rig.check(1, seed=seed)
    assert rig.gpu.captures == 4, "the first was given up"


def test_without_graphs_every_call_is_direct() -> None:
    rig = Rig(graphs=False)
    for seed in range(8):
        rig.check(2, seed=seed)
    assert (rig.gpu.captures, rig.gpu.replays, len(rig.engine.contexts)) == (0, 0, 1)


def test_rtx_records_by_itself_with_kernels_for_the_shape() -> None:
    rig = Rig(rtx=True)
    for seed in range(4):
        rig.check(2, seed=seed)
    direct, fixed = (context.config for context in rig.engine.contexts)
    assert direct is not None and fixed is not None
    assert (direct.cuda_graph_strategy, fixed.cuda_graph_strategy) == (Graphs.DISABLED, Graphs.WHOLE_GRAPH_CAPTURE)
    kernels = [config.dynamic_shapes_kernel_specialization_strategy for config in (direct, fixed)]
    assert kernels == [Kernels.LAZY, Kernels.EAGER]


def test_rtx_keeps_kernels_from_start_to_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = kernel_file(tmp_path / "kernels", b"a plan")
    assert kernel_file(tmp_path / "kernels", b"another plan") != path

    def start() -> Rig:
        rig = Rig(rtx=True, kernels=KernelCache(path))
        for seed in range(4):
            rig.check(2, seed=seed)
        assert len({id(context.config.kernels) for context in rig.engine.contexts if context.config}) == 1
        return rig

    start()
    assert path.read_bytes() == b"kernels of this GPU, compiled anew"
    path.write_bytes(b"kernels of this GPU, kept")
    start()
    assert path.read_bytes() == b"kernels of this GPU, kept"
    assert not caplog.records
    path.write_bytes(b"kernels of another")
    start()
    assert "compiled anew" in caplog.text
    assert path.read_bytes() == b"kernels of this GPU, compiled anew"


def test_the_profile_tuned_nearest_is_taken() -> None:
    rig = Rig(graphs=False)
    rig.check(2, 4)  # both profiles take it
    rig.check(8, 16)  # the second alone
    assert [context.profile for context in rig.engine.contexts] == [0, 1]


def test_contexts_share_one_piece_of_working_memory() -> None:
    rig = Rig()
    for seed in range(4):
        rig.check(2, seed=seed)
    rig.check(8, 16)
    assert len({context.scratch for context in rig.engine.contexts}) == 1
    assert len(rig.engine.contexts) == 3


def test_shapes_that_no_profile_takes_are_named() -> None:
    with pytest.raises(ValueError, match=r"no profile of the engine takes sample \(9, 4\).*\(8, 16\)"):
        Rig().runtime.run((torch.zeros(9, 4), torch.zeros(9)))


def test_wrong_types_are_named_and_views_are_copied() -> None:
    rig = Rig()
    with pytest.raises(ValueError, match=r"'timestep' must be torch\.float32, not torch\.int64"):
        rig.runtime.run((torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64)))
    sample = torch.randn(4, 2).T
    (answer,) = rig.runtime.run((sample, torch.zeros(2)))
    torch.testing.assert_close(answer, 2 * sample)


def test_arrays_go_in_and_out() -> None:
    sample = np.ones((2, 4), np.float32)
    (answer,) = Rig().runtime.run_arrays([sample, np.array([1, 2], np.float32)])
    assert answer.tolist() == [[3.0] * 4, [4.0] * 4]


def test_a_call_that_the_library_refuses_raises_and_the_next_works() -> None:
    rig = Rig()
    rig.engine.broken = True
    with pytest.raises(EngineCallError, match="cannot run"):
        rig.runtime.run((torch.zeros(2, 4), torch.zeros(2)))
    rig.engine.broken = False
    rig.check(2)


def test_another_components_engine_is_refused() -> None:
    other = ComponentSignature((TensorSpec("latents", DType.FP32, ("width",)),), SIGNATURE.outputs)
    loaded = LoadedEngine(library(records_graphs=False), Engine(), ErrorTrap())
    with pytest.raises(RuntimeUnavailableError, match=r"takes \['sample', 'timestep'\].*\['latents'\]"):
        assemble(loaded, other, PretendedGpu(), RuntimeSettings(threads=1))


DESCRIPTION = EngineDescription("tensorrt-rtx", "0.0", "no GPU", ("8.9",), (), (), (), 1, 1)


def test_what_is_missing_is_named(tmp_path: Path, tiny: ModelSource) -> None:
    settings = RuntimeSettings(threads=1)
    with pytest.raises(RuntimeUnavailableError, match=r"model\.plan is missing"):
        open_runtime("tensorrt", tmp_path, tiny.manifest, Component.DENOISER, settings)
    (tmp_path / PLAN_FILE).write_bytes(b"plan")
    with pytest.raises(RuntimeUnavailableError, match=r"engine\.json cannot be used"):
        open_runtime("tensorrt", tmp_path, tiny.manifest, Component.DENOISER, settings)
    write_description(DESCRIPTION, tmp_path)
    assert read_description(tmp_path) == DESCRIPTION
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeUnavailableError, match="needs an NVIDIA GPU"):
            open_runtime("tensorrt", tmp_path, tiny.manifest, Component.DENOISER, settings)
    (tmp_path / "engine.json").write_text('{"library": "tensorrt"}')
    with pytest.raises(RuntimeUnavailableError, match=r"engine\.json cannot be used"):
        read_description(tmp_path)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(tensorrt_library.importlib, "import_module", absent)
    with pytest.raises(RuntimeUnavailableError, match="pip install tensorrt"):
        import_library(TENSORRT)
    with pytest.raises(RuntimeUnavailableError, match=r"triptych\[tensorrt-rtx\]"):
        import_library(TENSORRT_RTX)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streams_and_graphs_of_a_real_gpu() -> None:
    """Ordering with the caller's stream and replay, on torch's own kernels: no engine is needed for it."""
    device = CudaDevice("cuda")
    source, target = device.empty((1 << 22,), torch.float32), device.empty((1 << 22,), torch.float32)

    def enqueue() -> None:
        target.copy_(source)

    source.fill_(1)
    with device.turn():
        enqueue()
    assert float((target + 0).sum()) == target.numel()
    replay = device.capture(enqueue)
    for value in (2.0, 3.0):
        source.fill_(value)
        with device.turn():
            replay()
        assert float(target.min()) == float(target.max()) == value
