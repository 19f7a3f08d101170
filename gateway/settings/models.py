"""Which models there are, what runs them and where."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from families.torch_options import AttentionSlicing, CompileMode, Offload, Switch, TorchDType, TorchOptions
from gateway.settings.section import Section


class ModelSettings(Section):
    """Which models are served."""

    directories: tuple[Path, ...] = Field(
        default=(), description="Folders that hold diffusers model folders; the first that has a name wins."
    )
    aliases: tuple[str, ...] | None = Field(
        default=None,
        description="Aliases of the registry that are served too, each one an error if it cannot be; "
        "default: all that a variable or a root leads to, with a warning for what cannot be served.",
    )
    lora_directories: tuple[Path, ...] = Field(
        default=(), description="Folders of LoRA for every model that they fit, beside each model's own `loras`."
    )
    default_model: str | None = Field(
        default=None, description="Served when a request names none; default: the first by name."
    )


class RegistrySettings(Section):
    """Where models are looked for by alias."""

    file: Path | None = Field(default=None, description="YAML file of aliases; default: the shipped one.")
    roots: tuple[Path, ...] = Field(
        default=(Path("storage"), Path("manual_downloads"), Path("third_party")),
        min_length=1,
        description="Folders that are searched in this order and never written to.",
    )


class BackendSettings(Section):
    """What runs the models."""

    kind: Literal["triton", "inprocess"] = Field(
        default="triton", description="NVIDIA Triton, or the engine in this process."
    )
    runtime: Literal["onnxruntime", "torch"] = Field(default="onnxruntime", description="What executes the components.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the runtime; default: one a core.")
    triton_url: str | None = Field(
        default=None,
        min_length=1,
        description="gRPC address, host:port, of a Triton that somebody else runs; default: one of our own.",
    )
    call_timeout: float = Field(default=60, gt=0, description="Seconds for one text encoding or decode in Triton.")


class HardwareSettings(Section):
    """What the models compute with. All but `device` is the torch runtime's."""

    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$",
        description="auto, cpu, mps, cuda or cuda:N; ROCm's GPUs are cuda too.",
    )
    dtype: TorchDType = Field(default=TorchDType.AUTO, description="auto: float32, on NVIDIA GPUs bfloat16.")
    vae_slicing: Switch = Field(default=Switch.AUTO, description="Decode a batch picture by picture.")
    vae_tiling: Switch = Field(default=Switch.AUTO, description="Decode large pictures in overlapping tiles.")
    attention_slicing: AttentionSlicing | None = Field(
        default=None, description="Attention of UNets in pieces; default: what the device needs."
    )
    offload: Offload = Field(
        default=Offload.NONE,
        description="Weights wait in host memory: whole components (model) or layers (sequential).",
    )
    compile: CompileMode = Field(default=CompileMode.NONE, description="torch.compile's mode.")

    @property
    def torch_options(self) -> TorchOptions:
        """What the torch runtime takes."""
        return TorchOptions(
            dtype=self.dtype,
            vae_slicing=self.vae_slicing,
            vae_tiling=self.vae_tiling,
            attention_slicing=self.attention_slicing,
            offload=self.offload,
            compile=self.compile,
        )


class ResidencySettings(Section):
    """Which models are in memory. Without a budget and a timeout all of them are, from the start."""

    budget_bytes: int | None = Field(
        default=None, ge=1, description="Memory of the models' device that they may take together."
    )
    auto_unload_timeout: float | None = Field(
        default=None, gt=0, description="Seconds after which a model that nobody used leaves memory."
    )
    host_budget_bytes: int = Field(
        default=0,
        ge=0,
        description="Host memory for models that left a GPU's, of the torch runtime in the gateway's process.",
    )
    pinned: tuple[str, ...] = Field(default=(), description="Models that are loaded at the start and never leave.")
    wait_timeout: float = Field(
        default=120, gt=0, description="Seconds that a request waits for its model to be loaded; then 503."
    )

    @model_validator(mode="after")
    def _pinned_beside_others(self) -> Self:
        if self.pinned and not self.on_demand:
            raise ValueError("pinned models need budget_bytes or auto_unload_timeout: otherwise every model stays")
        if self.host_budget_bytes and not self.on_demand:
            raise ValueError("host_budget_bytes needs budget_bytes or auto_unload_timeout: otherwise every model stays")
        return self

    @property
    def on_demand(self) -> bool:
        """Whether models come and go."""
        return self.budget_bytes is not None or self.auto_unload_timeout is not None
