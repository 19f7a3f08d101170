"""What a try-on request says, by whichever service's names, is one command; contradictions name both fields."""

import io
from typing import Any

import pytest

from gateway.api.given_body import GivenBody
from gateway.api.tryon_command import TryOnPlan, plan_tryon
from gateway.api.tryon_pictures import TryOnFiles
from gateway.api.tryon_request import TryOnRequest
from gateway.domain.edits import PictureFile
from gateway.domain.pictures import PictureFormat
from gateway.domain.tryon import GarmentCategory, GarmentPhoto, MaskPolarity, MergeStyle, Preserved, TryOnMode
from gateway.domain.tryon_errors import InputValidationError

PERSON, GARMENT = "data:person", "data:garment"
FASHN = {"model_image": PERSON, "garment_image": GARMENT}
FAST, PREMIUM = TryOnMode.FAST, TryOnMode.PREMIUM


def plan(fields: dict[str, Any], mode: TryOnMode = PREMIUM) -> TryOnPlan:
    return plan_tryon(GivenBody(TryOnRequest.model_validate(fields), {}), mode)


def command_of(made: TryOnPlan) -> Any:
    files = [PictureFile(reference.field, io.BytesIO()) for reference in made.pictures.all()]
    mask = files.pop() if made.pictures.mask else None
    return made.command(TryOnFiles(files[0], tuple(files[1:]), mask), seed=7)


def refusal(fields: dict[str, Any], mode: TryOnMode = PREMIUM) -> InputValidationError:
    with pytest.raises(InputValidationError) as caught:
        plan(fields, mode)
    assert (caught.value.status, caught.value.code) == (400, "InputValidationError")
    return caught.value


@pytest.mark.parametrize(
    "fields",
    [
        FASHN,
        {"human_image": PERSON, "cloth_image": GARMENT},
        {"personImage": PERSON, "productImages": [GARMENT]},
        {"personImage": {"image": {"bytesBase64Encoded": PERSON}}, "productImages": [{"bytesBase64Encoded": GARMENT}]},
        {"sourceImage": PERSON, "referenceImage": GARMENT},
        {**FASHN, "human_image": PERSON, "referenceImage": GARMENT},
    ],
)
def test_four_services_names_for_the_pictures(fields: dict[str, Any]) -> None:
    pictures = plan(fields).pictures
    assert pictures.person.source == PERSON
    assert [garment.source for garment in pictures.garments] == [GARMENT]
    assert pictures.person.field in fields


def test_what_is_not_said_takes_its_default() -> None:
    made = plan(FASHN)
    command = command_of(made)
    assert (command.mode, command.seed, command.samples) == (PREMIUM, 7, 1)
    assert (command.garments[0].category, command.garments[0].photo) == (None, None)
    assert (command.merge, command.preserve, command.mask) == (MergeStyle.BALANCED, frozenset(), None)
    assert (command.model, command.steps, command.guidance_scale, command.candidates) == (None, None, None, None)
    assert (command.encoding.format, command.encoding.quality) == (PictureFormat.PNG, 100)
    assert not (command.intermediates or command.deterministic or command.partial_images or made.showing.inline)


def test_fashns_words_and_ours() -> None:
    command = command_of(
        plan(
            {
                "model_image": PERSON,
                "garment_image": [GARMENT, "data:skirt"],
                "category": ["tops", "bottoms"],
                "garment_photo_type": "flat-lay",
                "mask": "data:mask",
                "preserve": ["arms", "legs"],
                "merge_style": "seamless",
                "mode": "quality",
                "num_samples": 2,
                "candidates": 6,
                "refine": False,
                "model": "catvton",
                "num_inference_steps": 12,
                "guidance_scale": 2.5,
                "scheduler": "ddim",
                "deterministic": True,
                "return_intermediates": True,
                "output_format": "webp",
                "output_compression": 80,
                "stream": True,
                "partial_images": 2,
            }
        )
    )
    assert [garment.category for garment in command.garments] == [GarmentCategory.TOPS, GarmentCategory.BOTTOMS]
    assert {garment.photo for garment in command.garments} == {GarmentPhoto.FLAT_LAY}
    assert command.mask.polarity is MaskPolarity.WHITE
    assert command.preserve == {Preserved.ARMS, Preserved.LEGS}
    assert command.merge is MergeStyle.SEAMLESS
    assert (command.samples, command.candidates, command.refine, command.model) == (2, 6, False, "catvton")
    assert (command.steps, command.guidance_scale, command.scheduler) == (12, 2.5, "ddim")
    assert (command.encoding.format, command.encoding.quality) == (PictureFormat.WEBP, 80)
    assert command.deterministic
    assert command.intermediates
    assert command.partial_images == 2


def test_vertexs_words() -> None:
    options = {"mimeType": "image/jpeg", "compressionQuality": 70}
    command = command_of(plan({**FASHN, "sampleCount": 3, "baseSteps": 9, "outputOptions": options}))
    assert (command.samples, command.steps) == (3, 9)
    assert (command.encoding.format, command.encoding.quality) == (PictureFormat.JPEG, 70)


def test_novas_words() -> None:
    made = plan(
        {
            **FASHN,
            "maskType": "IMAGE",
            "maskImage": "data:mask",
            "garmentClass": "SHORT_SLEEVE_SHIRT",
            "mergeStyle": "DETAILED",
            "maskExclusions": {"preserveFace": "ON", "preserveHands": "OFF"},
            "returnMask": True,
        }
    )
    command = command_of(made)
    assert command.mask.polarity is MaskPolarity.BLACK
    assert command.garments[0].category is GarmentCategory.TOPS
    assert command.merge is MergeStyle.DETAILED
    assert command.intermediates
    assert (made.showing.mask, made.showing.intermediates) == (True, False)
    assert [warning.split(" ")[0] for warning in made.showing.warnings] == ["'maskExclusions.preserveHands'"]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("UPPER_BODY", GarmentCategory.TOPS),
        ("NO_SLEEVE_SHIRT", GarmentCategory.TOPS),
        ("OTHER_UPPER_BODY", GarmentCategory.TOPS),
        ("LONG_PANTS", GarmentCategory.BOTTOMS),
        ("LOWER_BODY", GarmentCategory.BOTTOMS),
        ("LONG_DRESS", GarmentCategory.ONE_PIECES),
        ("FULL_BODY_OUTFIT", GarmentCategory.ONE_PIECES),
    ],
)
def test_novas_classes_are_categories(name: str, category: GarmentCategory) -> None:
    assert plan({**FASHN, "garmentClass": name}).categories == (category,)


@pytest.mark.parametrize(("value", "inline"), [(True, True), (False, False), (None, False)])
def test_fashns_word_for_base64(value: bool | None, inline: bool) -> None:
    assert plan({**FASHN, "return_base64": value}).showing.inline is inline


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"garment_image": GARMENT}, "model_image", "required"),
        ({"model_image": PERSON}, "garment_image", "required"),
        ({**FASHN, "garment_image": []}, "garment_image", "required"),
        ({**FASHN, "garment_image": ["a", "b", "c"]}, "garment_image", "up to 2"),
        ({**FASHN, "human_image": "data:other"}, "human_image", "'model_image' and 'human_image'"),
        ({**FASHN, "cloth_image": "data:other"}, "cloth_image", "'garment_image' and 'cloth_image'"),
        ({**FASHN, "category": ["tops", "bottoms"]}, "category", "two category values for one garment"),
        (
            {**FASHN, "category": "tops", "garmentClass": "LONG_PANTS"},
            "garmentClass",
            "two category values: 'category' says tops and 'garmentClass' says bottoms",
        ),
        ({**FASHN, "garment_image": ["a", "b"], "category": "tops"}, "category", "a list of 2"),
        ({**FASHN, "garmentClass": "BOOTS"}, "garmentClass", "footwear"),
        ({**FASHN, "num_samples": 1, "sampleCount": 2}, "sampleCount", "two sample count values"),
        ({**FASHN, "num_inference_steps": 1, "baseSteps": 2}, "baseSteps", "two steps values"),
        ({**FASHN, "merge_style": "seamless", "mergeStyle": "BALANCED"}, "mergeStyle", "two merge style values"),
        (
            {**FASHN, "output_format": "png", "outputOptions": {"mimeType": "image/webp"}},
            "outputOptions",
            "says png and 'outputOptions' says webp",
        ),
        ({**FASHN, "output_compression": 50}, "output_compression", "not to png"),
        ({**FASHN, "outputOptions": {"compressionQuality": 50}}, "outputOptions", "not to png"),
        ({**FASHN, "response_format": "url", "return_base64": True}, "return_base64", "two response format values"),
        ({**FASHN, "mask": "a", "maskImage": "b"}, "maskImage", "two pictures for the mask"),
        ({**FASHN, "maskImage": "a", "mask_polarity": "white"}, "maskImage", "two mask polarity values"),
        ({**FASHN, "mask_polarity": "black"}, "mask_polarity", "needs a 'mask'"),
        ({**FASHN, "maskType": "PROMPT"}, "maskType", "allowed: IMAGE, GARMENT"),
        ({**FASHN, "maskType": "IMAGE"}, "maskType", "needs 'maskImage'"),
        ({**FASHN, "maskType": "GARMENT", "mask": "a"}, "mask", "exclude each other"),
        ({**FASHN, "mode": "performance"}, "mode", "/v1/tryon-fast"),
        ({**FASHN, "num_samples": 3, "candidates": 2}, "candidates", "at least 'num_samples'"),
        ({**FASHN, "partial_images": 1}, "partial_images", "needs 'stream'"),
        ({**FASHN, "async": True, "stream": True}, "async", "exclude each other"),
        ({**FASHN, "async": True, "response_format": "b64_json"}, "response_format", "links"),
        ({**FASHN, "async": True, "return_base64": True}, "return_base64", "links"),
    ],
)
def test_contradictions(fields: dict[str, Any], param: str, says: str) -> None:
    error = refusal(fields)
    assert error.param == param
    assert says in error.message


@pytest.mark.parametrize("fields", [{"mode": "quality"}, {"candidates": 4}, {"refine": True}])
def test_what_only_premium_does(fields: dict[str, Any]) -> None:
    error = refusal({**FASHN, **fields}, FAST)
    assert error.param == next(iter(fields))
    assert "/v1/tryon-premium" in error.message


@pytest.mark.parametrize("fields", [{"mode": "performance"}, {"mode": "balanced"}, {"refine": False}])
def test_what_fast_does(fields: dict[str, Any]) -> None:
    assert plan({**FASHN, **fields}, FAST).mode is FAST
