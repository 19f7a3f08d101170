"""A model folder without weights: the families package opens none."""

import json
from pathlib import Path
from typing import Any

import pytest

FILES: dict[str, dict[str, Any]] = {
    "model_index.json": {"_class_name": "StableDiffusionPipeline"},
    "unet/config.json": {"sample_size": 16},
    "vae/config.json": {"latent_channels": 4, "block_out_channels": [8, 8, 8, 8], "scaling_factor": 0.5},
    "text_encoder/config.json": {
        "max_position_embeddings": 64,
        "hidden_size": 192,
        "bos_token_id": 0,
        "eos_token_id": 1,
    },
    "scheduler/scheduler_config.json": {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    },
    "tokenizer/tokenizer.json": {"added_tokens": [{"id": 2, "content": "<pad>"}]},
    "tokenizer/tokenizer_config.json": {"pad_token": "<pad>"},
}


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_model(folder: Path) -> Path:
    for name, value in FILES.items():
        write_json(folder / name, value)
    return folder


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """`<tmp>/models/toy`."""
    return write_model(tmp_path / "models" / "toy")
