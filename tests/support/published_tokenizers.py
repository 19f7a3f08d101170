"""Tokenizers as published folders of Stable Diffusion and Qwen-Image hold them: a vocabulary and merges."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import Qwen2Tokenizer

_CLIP = Path(__file__).parents[2] / "wardrobe" / "weights" / "wardrobe" / "tokenizer"
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
QWEN2_SPECIAL = (END, "<|im_start|>", "<|im_end|>", "<|image_pad|>")
QWEN2_ADDED = ("<tool_call>", "</tool_call>")
_TEXTS = (
    "Describe the picture: a red dress, it's 1,200 years old.\n",
    "ein Kleid für Ärzte; 漢字 и слова\n\n  code = 3",
)


def flags(content: str, **changed: bool) -> dict[str, Any]:
    """A token as these files write it."""
    plain = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, **plain, **changed}


def write_clip(folder: Path, *, pad: str = END, special_map: bool = True) -> Path:
    """The embedded model's vocabulary and merges, with side files as Stable Diffusion 1's and SDXL's are."""
    folder.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(_CLIP / name, folder / name)
    named = {
        "bos_token": flags(BEGIN, normalized=True),
        "eos_token": flags(END, normalized=True),
        "unk_token": flags(END, normalized=True),
    }
    in_config = {role: {"__type": "AddedToken", **token} for role, token in named.items()}
    config = {**in_config, "pad_token": pad, "do_lower_case": True, "model_max_length": 77}
    write(folder / "tokenizer_config.json", {**config, "tokenizer_class": "CLIPTokenizer"})
    if special_map:
        write(folder / "special_tokens_map.json", {**named, "pad_token": pad})
    return folder


def write_qwen2(folder: Path, *, by_id: bool = True) -> Path:
    """A trained vocabulary without its added tokens, which the configuration or `added_tokens.json` lists by id."""
    folder.mkdir(parents=True)
    trained = Qwen2Tokenizer(vocab=None, merges=None).train_new_from_iterator(_TEXTS * 3, 420)
    trained.backend_tokenizer.model.save(str(folder))
    words = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    kept = [word for word in sorted(words, key=words.__getitem__) if word not in QWEN2_SPECIAL]
    write(folder / "vocab.json", {word: place for place, word in enumerate(kept)})
    added = {content: len(kept) + place for place, content in enumerate((*QWEN2_SPECIAL, *QWEN2_ADDED))}
    config: dict[str, Any] = {
        "add_prefix_space": False,
        "additional_special_tokens": list(QWEN2_SPECIAL[1:]),
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": END,
        "unk_token": None,
        "tokenizer_class": "Qwen2Tokenizer",
    }
    if by_id:
        special = set(QWEN2_SPECIAL)
        config["added_tokens_decoder"] = {
            str(place): flags(content) | {"special": content in special} for content, place in added.items()
        }
    write(folder / "added_tokens.json", added)
    write(folder / "tokenizer_config.json", config)
    return folder


def write(path: Path, value: dict[str, Any]) -> None:
    """A JSON file."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
