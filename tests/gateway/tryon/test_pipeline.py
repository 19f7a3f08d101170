"""The whole chain over renders, whose truth is known."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from families.tryon.agnostic import agnostic_mask
from families.tryon.parts import Category
from gateway.domain.backend import Pixels
from gateway.domain.errors import ModelNotFound, RequestTimedOut
from gateway.domain.tryon import (
    GarmentPhoto,
    MaskPolarity,
    MergeStyle,
    TryOnMask,
    TryOnMode,
    TryOnResult,
    TryOnScores,
    TryOnStage,
)
from gateway.domain.tryon_errors import InputValidationError, PipelineError, PoseError
from gateway.pipelines.tryon.score import Drawn, Scene, judge
from gateway.pipelines.tryon.verdict import CLEARLY_MORE, REFINED_AHEAD
from tests.gateway.tryon.world import Heard, World, command, lying, opened, pairs, png, truth, world
from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.pairs import dress
from wardrobe.world.scene import Bottoms, Top


@pytest.fixture()
def stage(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def category_of(garment: Top | Bottoms) -> Category:
    if isinstance(garment, Bottoms):
        return Category.BOTTOMS
    return Category.ONE_PIECES if garment.kind is TopKind.DRESS else Category.TOPS


@pytest.mark.parametrize("mode", list(TryOnMode))
async def test_pixels_outside_of_the_mask_are_the_photographs(stage: World, mode: TryOnMode) -> None:
    for pair in pairs(6):
        stage.learn(pair.before, pair.garment, pair.after)
        person, parse = truth(pair.before)
        result = await stage.pipeline.run(command(person, lying(pair.garment)[0], mode=mode), None)
        mask = agnostic_mask(parse.labels, category_of(pair.garment))
        after = opened(result.pictures[0].picture.data)
        assert np.array_equal(after[~mask], person[~mask])
        assert result.categories == (category_of(pair.garment),)
        new = truth(pair.after)[0].astype(int)
        changed = np.abs(new - person).max(axis=-1) > 30
        assert np.abs(after[changed] - new[changed]).mean() < 0.4 * np.abs(person[changed] - new[changed]).mean()


async def test_the_model_is_given_what_training_gave_it(stage: World) -> None:
    """A picture of the drawing's size goes to it as it is, with the recipe's mask and the flat-lay as it lies."""
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    (person, parse), (flat, _) = truth(pair.before), lying(pair.garment)
    await stage.pipeline.run(command(person, flat), None)
    (drawing,) = stage.drawer.drawings
    assert np.array_equal(drawing.person, person) and np.array_equal(drawing.garment, flat)
    assert np.array_equal(drawing.mask, agnostic_mask(parse.labels, category_of(pair.garment)))


@pytest.mark.parametrize("scale", [2.0, 3.7, 0.75])
@pytest.mark.parametrize("merge", list(MergeStyle))
async def test_the_answer_has_the_photographs_own_resolution(stage: World, scale: float, merge: MergeStyle) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    side = round(128 * scale)
    image = Image.fromarray(truth(pair.before)[0]).resize((side, side + 31), Image.Resampling.BICUBIC)
    # Nothing can be moved or scaled unnoticed.
    rough = np.random.default_rng(0).integers(-3, 4, (side + 31, side, 3))
    person = np.clip(np.asarray(image).astype(int) + rough, 0, 255).astype(np.uint8)
    result = await stage.pipeline.run(command(person, lying(pair.garment)[0], merge=merge, intermediates=True), None)
    after = opened(result.pictures[0].picture.data)
    mask = opened(next(each.data for each in result.intermediates if each.name == "mask"))[..., 0] > 0
    assert after.shape == person.shape and mask.shape == person.shape[:2] and 0.05 < mask.mean() < 0.8
    assert np.array_equal(after[~mask], person[~mask])
    assert (after[mask] != person[mask]).any(axis=-1).mean() > 0.5


async def test_premium_answers_the_best_candidates_first(stage: World) -> None:
    """The drawer's noise grows with seed % 4: of the seeds 7 to 10, 8 is the quietest and 7 the loudest."""
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    asked = command(truth(pair.before)[0], lying(pair.garment)[0], mode=TryOnMode.PREMIUM, samples=2)
    result = await stage.pipeline.run(asked, None)
    assert [candidate.seed for candidate in result.candidates] == [8, 9, 10, 7]
    assert [tried.picture.seed for tried in result.pictures] == [8, 9]
    totals = [candidate.scores.total for candidate in result.candidates]
    assert totals == sorted(totals, reverse=True) and 0.5 < totals[0] <= 1
    assert stage.drawer.drawings[0].seeds == (7, 8, 9, 10)
    assert result.usage.pictures == 4


async def refined_of(
    stage: World, monkeypatch: pytest.MonkeyPatch, patterns: Sequence[float]
) -> tuple[TryOnResult, Pixels, Pixels]:
    """The result, what was redrawn of each candidate, and the refined drawing. `patterns`: scores of the mean of all
    and of what was redrawn.
    """

    def scored(scene: Scene, drawn: Sequence[Drawn]) -> tuple[TryOnScores, ...]:
        scores = judge(scene, drawn)
        told = [score.pattern for score in scores[:4]] + list(patterns)
        return tuple(replace(score, pattern=pattern) for score, pattern in zip(scores, told, strict=False))

    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    monkeypatch.setattr("gateway.pipelines.tryon.verdict.judge", scored)
    heard = Heard()
    asked = command(
        truth(pair.before)[0], lying(pair.garment)[0], mode=TryOnMode.PREMIUM, refine=True, intermediates=True
    )
    result = await stage.pipeline.run(asked, heard)
    assert set(heard.ended) == set(TryOnStage) and heard.shares[-1] == 1.0
    first, *again = stage.drawer.drawings
    candidates = {each.name: opened(each.data) for each in result.intermediates if each.name.startswith("candidate_")}
    assert first.draft is None and [each.seeds for each in again] == [(seed,) for seed in first.seeds]
    for each in again:
        assert each.draft is not None
        assert np.array_equal(each.draft.pixels, candidates[f"candidate_{each.seeds[0]}"])
    redrawn = np.concatenate([await stage.drawer.draw(each, None) for each in again])
    assert [candidate.refined for candidate in result.candidates] == [True, False, False, False, False]
    assert result.pictures[0].refined
    (refined,) = (opened(each.data) for each in result.intermediates if each.name.startswith("refined_"))
    return result, redrawn, refined


async def test_all_candidates_are_gone_over_again_and_the_mean_of_all_is_answered(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    patterns = [0.6, *[0.6 + 0.9 * CLEARLY_MORE] * 4]
    result, redrawn, refined = await refined_of(stage, monkeypatch, patterns)
    assert result.candidates[0].seed == 8  # of the best candidate
    candidates = [opened(each.data) for each in result.intermediates if each.name.startswith("candidate_")]
    assert np.abs(refined - np.mean([*candidates, *redrawn], axis=0)).max() <= 0.5


async def test_what_shows_clearly_more_of_the_pattern_is_answered_instead(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    patterns = [0.6, 0.5, 0.6 + 1.1 * CLEARLY_MORE, 0.6 + 2 * CLEARLY_MORE, 0.6]
    result, redrawn, refined = await refined_of(stage, monkeypatch, patterns)
    assert result.candidates[0].seed == 9
    assert np.array_equal(refined, redrawn[2])


@pytest.mark.parametrize(("behind", "first"), [(0.5, True), (2.0, False)])
async def test_a_candidate_must_be_clearly_better_to_stand_before_the_refined_drawing(
    stage: World, monkeypatch: pytest.MonkeyPatch, behind: float, first: bool
) -> None:
    def scored(scene: Scene, drawn: Sequence[Drawn]) -> tuple[TryOnScores, ...]:
        """What is refined scores lower than the four candidates, which are all as good."""
        totals = [0.8] * 4 + [0.8 - behind * REFINED_AHEAD] * 5
        return tuple(replace(score, total=total) for score, total in zip(judge(scene, drawn), totals, strict=False))

    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    monkeypatch.setattr("gateway.pipelines.tryon.verdict.judge", scored)
    asked = command(truth(pair.before)[0], lying(pair.garment)[0], mode=TryOnMode.PREMIUM, refine=True)
    result = await stage.pipeline.run(asked, None)
    assert result.candidates[0].refined is first


async def test_top_and_bottoms_are_put_on_one_after_the_other(stage: World) -> None:
    scene = replace(pairs(1)[0].before, top=Top(TopKind.SWEATER, Colour.RED, Pattern.PLAIN))
    scene = replace(scene, bottoms=Bottoms(BottomsKind.SKIRT, Colour.GREEN, Pattern.PLAIN))
    top, bottoms = (
        Top(TopKind.TANK_TOP, Colour.BLUE, Pattern.PLAIN),
        Bottoms(BottomsKind.TROUSERS, Colour.PINK, Pattern.PLAIN),
    )
    half = dress(scene, bottoms)
    stage.learn(scene, bottoms, half)
    stage.learn(half, top, dress(half, top))
    stage.drawer.noise = 2.0
    person = truth(scene)[0]
    for mode, seeds in ((TryOnMode.FAST, [(7, 8), (7,), (8,)]), (TryOnMode.PREMIUM, [(7, 8, 9, 10)] * 2)):
        stage.drawer.drawings.clear()
        result = await stage.pipeline.run(command(person, lying(top)[0], lying(bottoms)[0], mode=mode, samples=2), None)
        assert result.categories == (Category.TOPS, Category.BOTTOMS)
        assert [drawing.seeds for drawing in stage.drawer.drawings] == seeds
        after, wanted = opened(result.pictures[0].picture.data), truth(dress(half, top))[0]
        assert np.abs(after.astype(int) - wanted).mean() < 6
    alone = await stage.pipeline.run(replace(command(person, lying(top)[0], lying(bottoms)[0]), seed=8), None)
    both = await stage.pipeline.run(command(person, lying(top)[0], lying(bottoms)[0], samples=2), None)
    assert alone.pictures[0].picture.data == both.pictures[1].picture.data


async def test_the_same_seed_gives_the_same_bytes(stage: World) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    person, flat = truth(pair.before)[0], lying(pair.garment)[0]
    first, second = await asyncio.gather(
        stage.pipeline.run(command(person, flat, mode=TryOnMode.PREMIUM), None),
        stage.pipeline.run(command(person, flat, mode=TryOnMode.PREMIUM), None),
    )
    assert first.pictures == second.pictures and first.candidates == second.candidates


async def test_what_a_listener_hears(stage: World) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    heard = Heard()
    asked = command(
        truth(pair.before)[0], lying(pair.garment)[0], mode=TryOnMode.PREMIUM, samples=2, partial_images=2,
        intermediates=True,
    )  # fmt: skip
    result = await stage.pipeline.run(asked, heard)
    assert heard.begun == heard.ended and heard.starts == 1
    assert set(heard.ended) == set(TryOnStage) - {TryOnStage.REFINE}
    assert heard.shares == sorted(heard.shares) and heard.shares[-1] == 1.0
    assert [(partial.index, partial.order) for partial in heard.partials] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert opened(heard.partials[0].data).shape == (128, 128, 3)
    assert [timing.stage for timing in result.timings] == [stage for stage in TryOnStage if stage in heard.ended]
    names = [each.name for each in result.intermediates]
    assert names[:6] == ["parse", "pose", "garment", "crop", "mask", "masked_person"]
    assert sorted(names[6:]) == sorted(f"candidate_{seed}" for seed in (7, 8, 9, 10))


@pytest.mark.parametrize("polarity", list(MaskPolarity))
async def test_a_mask_of_the_callers_own(stage: World, polarity: MaskPolarity) -> None:
    pair = next(pair for pair in pairs(20) if category_of(pair.garment) is Category.TOPS)
    stage.learn(pair.before, pair.garment, pair.after)
    person = truth(pair.before)[0]
    drawn = np.zeros((128, 128), dtype=bool)
    drawn[40:90, 30:100] = True
    if polarity is MaskPolarity.TRANSPARENT:
        file = np.dstack([np.zeros((128, 128, 3), np.uint8), np.where(drawn, 0, 255).astype(np.uint8)])
    else:
        file = np.where(drawn == (polarity is MaskPolarity.WHITE), 255, 0).astype(np.uint8)
    mask = TryOnMask(png(file, "mask"), polarity)
    result = await stage.pipeline.run(command(person, lying(pair.garment)[0], mask=mask), None)
    after = opened(result.pictures[0].picture.data)
    assert np.array_equal(stage.drawer.drawings[0].mask, drawn)
    assert np.array_equal(after[~drawn], person[~drawn]) and (after != person).any()


async def test_cancelling_frees_everything(stage: World) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    stage.drawer.step_seconds = 30
    task = asyncio.create_task(stage.pipeline.run(command(truth(pair.before)[0], lying(pair.garment)[0]), Heard()))
    await stage.drawer.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (stage.drawer.running, stage.drawer.cancelled) == (0, 1)
    assert await stage.admission.wait_idle(1)


async def test_a_stage_that_breaks_is_a_pipeline_error(stage: World) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    stage.drawer.fail = ZeroDivisionError("secret")
    with pytest.raises(PipelineError, match="generate") as caught:
        await stage.pipeline.run(command(truth(pair.before)[0], lying(pair.garment)[0]), Heard())
    assert "secret" not in caught.value.message and caught.value.code == "PipelineError"
    stage.drawer.fail = RequestTimedOut("late")
    with pytest.raises(RequestTimedOut):
        await stage.pipeline.run(command(truth(pair.before)[0], lying(pair.garment)[0]), None)
    assert await stage.admission.wait_idle(1)


async def test_swapped_pictures_are_told(stage: World) -> None:
    pair = pairs(1)[0]
    stage.learn(pair.before, pair.garment, pair.after)
    person, flat = truth(pair.before)[0], lying(pair.garment)[0]
    with pytest.raises(PoseError, match="swapped") as caught:
        await stage.pipeline.run(command(flat, flat), None)
    assert caught.value.param == "model_image"
    asked = command(person, person)
    lay = replace(asked, garments=(replace(asked.garments[0], photo=GarmentPhoto.FLAT_LAY),))
    with pytest.raises(InputValidationError, match="shows a person") as wrong:
        await stage.pipeline.run(lay, None)
    assert wrong.value.param == "garment_image"


async def test_two_garments_must_go_together(stage: World) -> None:
    pair = pairs(1)[0]
    tops = [Top(kind, Colour.RED, Pattern.PLAIN) for kind in (TopKind.T_SHIRT, TopKind.DRESS)]
    for top in tops:
        stage.learn(pair.before, top, dress(pair.before, top))
    person = truth(pair.before)[0]
    with pytest.raises(InputValidationError, match="allowed together"):
        await stage.pipeline.run(command(person, *(lying(top)[0] for top in tops)), None)


async def test_an_unknown_model(stage: World) -> None:
    pair = pairs(1)[0]
    with pytest.raises(ModelNotFound):
        await stage.pipeline.run(command(truth(pair.before)[0], lying(pair.garment)[0], model="nobody"), None)
