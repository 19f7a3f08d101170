"""Try-on results against the truth."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from families.tryon.agnostic import Mask, agnostic_mask
from wardrobe.judge import Judge, Reading, reading_of
from wardrobe.training.tryon_cache import category_of
from wardrobe.world.attributes import Part, TopKind
from wardrobe.world.canvas import Pixels
from wardrobe.world.pairs import TryOnPair
from wardrobe.world.render import flat_lay, render
from wardrobe.world.scene import Bottoms

_SLEEVED_LENGTH = {TopKind.TANK_TOP: 0, TopKind.T_SHIRT: 1, TopKind.DRESS: 1, TopKind.SWEATER: 2}


@dataclass(frozen=True, slots=True)
class TryOnCase:
    """A pair and all that it is measured with: pictures uint8 [128, 128, 3], masks bool [128, 128]."""

    pair: TryOnPair
    person: Pixels
    mask: Mask
    garment: Pixels
    truth: Pixels
    region: Mask  # where the new garment is in the truth

    @classmethod
    def of(cls, pair: TryOnPair) -> "TryOnCase":
        """Draw both sides of a pair."""
        before, after = render(pair.before), render(pair.after)
        part = Part.BOTTOMS if isinstance(pair.garment, Bottoms) else Part.TOP
        if pair.garment.kind is TopKind.DRESS:
            part = Part.DRESS
        mask = agnostic_mask(before.labels, category_of(pair.garment))
        return cls(pair, before.image, mask, flat_lay(pair.garment), after.image, after.mask(part))

    @property
    def sleeves_change(self) -> bool:
        """True where sleeves get longer or shorter."""
        return _SLEEVED_LENGTH[self.pair.before.top.kind] != _SLEEVED_LENGTH[self.pair.after.top.kind]


@dataclass(frozen=True, slots=True)
class TryOnScores:
    """Shares are 0..1.

    similarity: SSIM over the new garment's pixels, and over the mask's; colour_error: CIEDE2000 between the
    garment's mean colours; pixel_error: its mean over the garment's pixels; kind, colour, pattern: the judge reads
    the new garment right; sleeves: the top's kind is right where sleeves change; everything: not one mistake.
    """

    similarity: float
    mask_similarity: float
    colour_error: float
    pixel_error: float
    kind: float
    colour: float
    pattern: float
    sleeves: float
    everything: float
    cases: int


def score_tryon(cases: list[TryOnCase], results: Pixels, judge: Judge) -> TryOnScores:
    """Results uint8 [N, 128, 128, 3] of the cases. Raises ValueError for none or unequal numbers."""
    if not cases or len(cases) != len(results):
        raise ValueError(f"{len(results)} results for {len(cases)} cases")
    readings = judge.read(results)
    wanted = [reading_of(case.pair.after) for case in cases]
    inner, outer, means, pixels = zip(
        *(_likeness(case, result) for case, result in zip(cases, results, strict=True)), strict=True
    )
    garments = [_garment_right(case, got, want) for case, got, want in zip(cases, readings, wanted, strict=True)]
    sleeves = [
        got.top_kind == want.top_kind
        for case, got, want in zip(cases, readings, wanted, strict=True)
        if case.sleeves_change
    ]
    kind, colour, pattern = (float(np.mean(column)) for column in zip(*garments, strict=True))
    return TryOnScores(
        float(np.mean(inner)), float(np.mean(outer)), float(np.mean(means)), float(np.mean(pixels)),
        kind, colour, pattern,
        float(np.mean(sleeves)) if sleeves else float("nan"),
        float(np.mean([got == want for got, want in zip(readings, wanted, strict=True)])),
        len(cases),
    )  # fmt: skip


def resized_into(cases: list[TryOnCase]) -> Pixels:
    """The plain baseline: each garment's picture resized into the box of its mask, uint8 [N, 128, 128, 3]."""
    results = []
    for case in cases:
        rows, columns = np.flatnonzero(case.mask.any(axis=1)), np.flatnonzero(case.mask.any(axis=0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        picture = Image.fromarray(case.person)
        picture.paste(Image.fromarray(case.garment).resize((box[2] - box[0], box[3] - box[1])), box)
        results.append(np.where(case.mask[..., None], np.asarray(picture), case.person))
    return np.stack(results)


def _likeness(case: TryOnCase, result: Pixels) -> tuple[float, float, float, float]:
    """SSIM over the garment and over the mask, CIEDE2000 of the means and per pixel."""
    _, similar = structural_similarity(case.truth, result, channel_axis=2, full=True)
    got, want = (rgb2lab(picture)[case.region] for picture in (result, case.truth))
    return (
        float(similar[case.region].mean()),
        float(similar[case.mask].mean()),
        float(deltaE_ciede2000(want.mean(axis=0), got.mean(axis=0))),
        float(deltaE_ciede2000(want, got).mean()),
    )


def _garment_right(case: TryOnCase, got: Reading, want: Reading) -> tuple[bool, bool, bool]:
    """Kind, colour and pattern of the garment that was put on."""
    part = "bottoms" if isinstance(case.pair.garment, Bottoms) else "top"
    kind, colour, pattern = (
        getattr(got, f"{part}_{name}") == getattr(want, f"{part}_{name}") for name in ("kind", "colour", "pattern")
    )
    return kind, colour, pattern
