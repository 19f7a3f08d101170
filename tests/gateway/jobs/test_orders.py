"""What is written down of a command is all of it."""

import io
from dataclasses import MISSING, fields

import pytest

from gateway.api.generation_answer import AnswerFacts
from gateway.api.generation_order import StoredGeneration, generation_inputs, read_generation, write_generation
from gateway.domain.backend import Lora
from gateway.domain.edits import Dressing, Edit, PictureFile
from gateway.domain.errors import JobUnreadable
from gateway.domain.pictures import GenerateCommand, PictureEncoding, PictureFormat, PictureSize
from gateway.pipelines.jobs.handler import read_order

FACTS = AnswerFacts(quality="high", safety_identifier="somebody")


def picture(field: str) -> PictureFile:
    return PictureFile(field, io.BytesIO(field.encode()))


EDIT = Edit(
    (picture("image"), picture("image")),
    picture("mask"),
    0.3,
    faithful=True,
    as_references=False,
    dressing=Dressing(thorough=True, steps=9, guidance_scale=1.5),
)
COMMAND = GenerateCommand(
    model="wardrobe",
    prompt="a hat \N{SNOWMAN} \x00",
    negative_prompt="a coat",
    seeds=(2**53 - 1, 0),
    steps=7,
    guidance_scale=0.1 + 0.2,
    scheduler="euler",
    size=PictureSize(64, 128),
    deterministic=True,
    partial_images=2,
    encoding=PictureEncoding(PictureFormat.WEBP, 33, embed_parameters=True),
    guidance_interval=(0.1, 0.7),
    step_cache=0.05,
    loras=(Lora("stripes", -0.5), Lora("dots", 1.0)),
    edit=EDIT,
)


@pytest.mark.parametrize("whole", [COMMAND, EDIT], ids=["command", "edit"])
def test_nothing_here_is_a_default(whole: object) -> None:
    """A field that is added to either is missing above until it is stored too."""
    for field in fields(whole):  # type: ignore[arg-type]
        if field.default is not MISSING:
            assert getattr(whole, field.name) != field.default, field.name


@pytest.mark.parametrize("masked", [True, False])
def test_a_command_comes_back_as_it_was(masked: bool) -> None:
    edit = EDIT if masked else Edit(EDIT.images, None, None)
    for command in (COMMAND, GenerateCommand(**{**_fields(COMMAND), "edit": edit, "size": None})):
        text = write_generation(command, FACTS).model_dump_json()
        stored = read_order(StoredGeneration, text)
        assert read_generation(stored, generation_inputs(command)) == command
        assert stored.facts == FACTS


def test_a_command_without_pictures_has_no_inputs() -> None:
    command = GenerateCommand(**{**_fields(COMMAND), "edit": None})
    assert generation_inputs(command) == ()
    stored = write_generation(command, FACTS)
    assert read_generation(stored, ()) == command


@pytest.mark.parametrize("change", ['"version":1', '"steps":7', '"prompt"'])
def test_another_versions_order_is_refused_without_showing_it(change: str) -> None:
    text = write_generation(COMMAND, FACTS).model_dump_json()
    assert change in text
    for other in ('"version":2', '"stairs":7', ""):
        with pytest.raises(JobUnreadable) as raised:
            read_order(StoredGeneration, text.replace(change, other))
        assert "hat" not in raised.value.message


def _fields(command: GenerateCommand) -> dict:
    return {field.name: getattr(command, field.name) for field in fields(command)}
