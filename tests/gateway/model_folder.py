"""A model folder without weights: all that the gateway reads of one."""

import json
import shutil
from pathlib import Path

WARDROBE = Path(__file__).parents[2] / "wardrobe" / "weights" / "wardrobe"


def write_model_folder(folder: Path) -> Path:
    """Configurations and tokenizer of the embedded model; pictures of 128 pixels, prompts of its length."""
    for name in ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"):
        _copy(folder, name)
    for name in ("scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"):
        _copy(folder, name)
    return folder


def prompt_length(folder: Path) -> int:
    """Tokens that the folder's text encoder takes."""
    config = json.loads((folder / "text_encoder" / "config.json").read_text())
    return int(config["max_position_embeddings"])


def _copy(folder: Path, name: str) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(WARDROBE / name, target)
