"""Try-on over renders: a parser that knows what they show, and a drawer that draws the truth, or nearly."""

import asyncio
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from families.catalog import load_source
from families.vision.joints import JOINTS
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.backend import Pixels
from gateway.domain.edits import PictureFile
from gateway.domain.pictures import PartialPicture, PictureEncoding, PictureFormat
from gateway.domain.tryon import GarmentPicture, TryOnCommand, TryOnMode, TryOnStage
from gateway.domain.tryon_drawing import DrawsTryOn, Rgb, TryOnDrawing, TryOnDrawingListener
from gateway.domain.tryon_options import ModeOptions, TryOnOptions
from gateway.domain.vision import Parse
from gateway.pipelines.admission import Admission
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.pipeline import TryOnPipeline
from tests.gateway.model_folder import WARDROBE
from wardrobe.world.keypoints import keypoints
from wardrobe.world.pairs import TryOnPair, tryon_pairs
from wardrobe.world.render import FLAT_LAY_BACKGROUND, PARTS, flat_lay, render
from wardrobe.world.scene import Bottoms, Garment, Scene

MODEL = "wardrobe-tryon"
PNG = PictureEncoding(PictureFormat.PNG, 100, embed_parameters=False)
_SMALL = (24, 24)


def pairs(count: int, seed: int = 3) -> list[TryOnPair]:
    return list(islice(tryon_pairs(seed, held_out=True), count))


def truth(scene: Scene) -> tuple[Rgb, Parse]:
    drawn = render(scene)
    joints = np.column_stack([keypoints(scene), np.ones(len(JOINTS))]).astype(np.float32)
    return drawn.image, Parse(drawn.labels, joints)


def lying(garment: Garment) -> tuple[Rgb, Parse]:
    """A flat-lay and its labels."""
    image = flat_lay(garment)
    part = "bottoms" if isinstance(garment, Bottoms) else "dress" if garment.kind == "dress" else "top"
    cloth = np.abs(image.astype(int) - FLAT_LAY_BACKGROUND).max(axis=-1) > 4
    labels = np.where(cloth, PARTS.index(part), 0).astype(np.uint8)
    return image, Parse(labels, np.zeros((len(JOINTS), 3), np.float32))


class KnowingParser:
    """Answers with the parse of the known picture that is most like what it is shown, at that one's size."""

    def __init__(self) -> None:
        self._known: list[tuple[np.ndarray, Parse]] = []
        self.calls = 0

    def learn(self, pixels: Rgb, parse: Parse) -> None:
        self._known.append((_thumbnail(pixels), parse))

    async def parse(self, pixels: Rgb, *, deterministic: bool) -> Parse:
        self.calls += 1
        await asyncio.sleep(0)
        small = _thumbnail(pixels)
        parse = min(self._known, key=lambda known: float(np.abs(known[0] - small).mean()))[1]
        height, width = pixels.shape[:2]
        labels = np.asarray(Image.fromarray(parse.labels).resize((width, height), Image.Resampling.NEAREST))
        scale = (width / parse.labels.shape[1], height / parse.labels.shape[0], 1)
        return Parse(labels, (parse.keypoints * np.array(scale)).astype(np.float32))

    async def alpha(self, pixels: Rgb, *, deterministic: bool) -> None:
        return None


def _thumbnail(pixels: Rgb) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(_SMALL, Image.Resampling.BOX)).astype(np.float32)


@dataclass
class TrueDrawer(DrawsTryOn):
    """Draws the known person who is like the one it is given, in the garment; with the seed's own noise."""

    parser: KnowingParser
    truths: list[tuple[np.ndarray, np.ndarray, Rgb]] = field(default_factory=list)
    noise: float = 6.0
    step_seconds: float = 0.0
    drawings: list[TryOnDrawing] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    cancelled: int = 0
    fail: Exception | None = None

    def learn(self, person: Rgb, garment: Rgb, after: Rgb) -> None:
        self.truths.append((_thumbnail(person), _thumbnail(garment), after))

    async def draw(self, drawing: TryOnDrawing, listener: TryOnDrawingListener | None) -> Pixels:
        self.drawings.append(drawing)
        self.running += 1
        self.begun.set()
        try:
            if listener is not None:
                listener.started()
            for step in range(1, drawing.steps + 1):
                await asyncio.sleep(self.step_seconds)
                if self.fail is not None:
                    raise self.fail
                if listener is not None:
                    listener.step(step, drawing.steps)
                    if step <= drawing.previews:
                        listener.preview(step - 1, self._pixels(drawing, 60.0))
            # Going over a draft again leaves less to chance.
            return self._pixels(drawing, self.noise if drawing.draft is None else self.noise / 4)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    def _pixels(self, drawing: TryOnDrawing, noise: float) -> Pixels:
        person, garment = _thumbnail(drawing.person), _thumbnail(drawing.garment)
        after = min(
            self.truths, key=lambda known: float(np.abs(known[0] - person).mean() + np.abs(known[1] - garment).mean())
        )[2]
        size = (drawing.size.width, drawing.size.height)
        whole = np.asarray(Image.fromarray(after).resize(size, Image.Resampling.LANCZOS)).astype(np.float32)
        made = []
        for seed in drawing.seeds:
            # Noise of a strength of the seed's own: some drawings are better than others.
            rng = np.random.default_rng(seed)
            made.append(whole + rng.normal(0, noise * (1 + seed % 4), whole.shape))
        return np.clip(np.rint(np.stack(made)), 0, 255).astype(np.uint8)


@dataclass
class Heard:
    """What a listener was told, in order."""

    begun: list[TryOnStage] = field(default_factory=list)
    ended: list[TryOnStage] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    partials: list[PartialPicture] = field(default_factory=list)
    starts: int = 0

    def started(self) -> None:
        self.starts += 1

    def stage_began(self, stage: TryOnStage) -> None:
        self.begun.append(stage)

    def stage_ended(self, stage: TryOnStage, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append(stage)

    def progress(self, share: float) -> None:
        self.shares.append(share)

    def partial(self, picture: PartialPicture) -> None:
        self.partials.append(picture)


@dataclass
class World:
    pipeline: TryOnPipeline
    parser: KnowingParser
    drawer: TrueDrawer
    admission: Admission

    def learn(self, before: Scene, garment: Garment, after: Scene) -> None:
        person, flat, dressed = truth(before), lying(garment), truth(after)
        for known in (person, flat, dressed):
            self.parser.learn(*known)
        self.drawer.learn(person[0], flat[0], dressed[0])


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A pipeline over the embedded model's configuration; no weights are opened."""
    telemetry = PrometheusTelemetry()
    admission = Admission(4, 4, telemetry)
    reader = PictureReader(4_000_000)
    parser = KnowingParser()
    drawer = TrueDrawer(parser)
    mode = ModeOptions(None, 2, None, None, candidates=1)
    pipeline = TryOnPipeline(
        drawer=drawer,
        parser=parser,
        models=ModelLibrary({MODEL: load_source(write_folder(folder / MODEL))}, None),
        reader=reader,
        options=TryOnOptions(mode, ModeOptions(None, 3, None, None, candidates=4), FLAT_LAY_BACKGROUND, ""),
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=60,
    )
    try:
        yield World(pipeline, parser, drawer, admission)
    finally:
        reader.close()


def write_folder(folder: Path) -> Path:
    """All that the gateway reads of a try-on model."""
    for part in ("scheduler/scheduler_config.json", "vae/config.json"):
        (folder / part).parent.mkdir(parents=True)
        shutil.copyfile(WARDROBE / part, folder / part)
    unet = json.loads((WARDROBE / "unet" / "config.json").read_text())
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text(json.dumps(unet | {"in_channels": 17}))
    (folder / "model_index.json").write_text('{"_class_name": "CatVTONPipeline"}')
    return folder


def png(pixels: np.ndarray, field_name: str) -> PictureFile:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    file.seek(0)
    return PictureFile(field_name, file)


def opened(data: bytes) -> Rgb:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def command(person: Rgb, *garments: Rgb, mode: TryOnMode = TryOnMode.FAST, **fields: object) -> TryOnCommand:
    return TryOnCommand(
        mode=mode,
        person=png(person, "model_image"),
        garments=tuple(GarmentPicture(png(garment, "garment_image")) for garment in garments),
        seed=7,
        encoding=PNG,
        **fields,  # type: ignore[arg-type]
    )
