"""LayersCommands to layers: read or draw the picture, take it apart, bring the layers to its size, write files."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass

from families.manifest import LayerRule
from gateway.domain.edits import PictureFile
from gateway.domain.layering import LayersCommand, LayersResult, LayersWish, TakesApart
from gateway.domain.layers import LayersFormat, Sheet
from gateway.domain.pictures import DrawsPictures, Generated, GenerateListener, TokenUsage
from gateway.domain.telemetry import Stage, Telemetry
from gateway.pipelines.admission import Admission
from gateway.pipelines.frame import size_of
from gateway.pipelines.imaging import encode_sheet
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.layers.answer import in_order, likeness, packed, pictures
from gateway.pipelines.layers.choice import layered_model
from gateway.pipelines.layers.compose import composite_of
from gateway.pipelines.layers.draw import LayersDraw
from gateway.pipelines.layers.parts import Part, parts_of, parts_of_part
from gateway.pipelines.layers.separating import Separating
from gateway.pipelines.layers.share import Shares
from gateway.pipelines.layers.source import check_amount, check_shape, check_source
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.sampling import timed
from gateway.pipelines.turn import Turns

DRAWN_FIRST = "generate"
"""The field that errors name where the picture did not come in."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The picture that is taken apart. `generated`: it was drawn first."""

    sheet: Sheet
    field: str
    generated: Generated | None = None


class LayersPipeline(TakesApart):
    """Runs LayersCommands. Holds no state of its own between them."""

    def __init__(
        self,
        *,
        drawer: LayersDraw,
        generator: DrawsPictures,
        models: ModelLibrary,
        reader: PictureReader,
        admission: Admission,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._drawer = drawer
        self._generator = generator
        self._models = models
        self._reader = reader
        self._telemetry = telemetry
        self._turns = Turns(admission, telemetry, timeout_seconds)

    async def run(self, command: LayersCommand, listener: GenerateListener | None) -> LayersResult:
        """See TakesApart. Raises Overloaded, Draining, RequestTimedOut, ModelNotFound, InvalidRequest or a
        BackendError.
        """
        wish = command.wish
        model, rule = layered_model(self._models, wish.model)
        async with self._turns.take(1):
            shares = Shares(listener, 1 + len(wish.decompose) + (not isinstance(command.source, PictureFile)))
            source = await self._source(command, shares)
            await self._check(source, wish, rule)
            separating = Separating(self._drawer, model, rule, wish)
            check_shape(separating.drawn(size_of(source.sheet)), model.manifest.size, source.field)
            drawn = await separating.run(source.sheet, wish.layers or rule.usual, shares.next(shown=True))
            with timed(self._telemetry, Stage.LAYERS_RESTORE):
                parts = await asyncio.to_thread(
                    parts_of, source.sheet, drawn, rule, all_of_them=wish.layers is not None
                )
            parts, warnings = await self._decomposed(parts, wish.decompose, rule, separating, shares)
            return await self._result(source, wish, separating, parts, warnings)

    async def _source(self, command: LayersCommand, shares: Shares) -> _Source:
        if isinstance(command.source, PictureFile):
            with timed(self._telemetry, Stage.READ_IMAGE):
                return _Source(await self._reader.read_sheet(command.source), command.source.field)
        generated = await self._generator.run(command.source, shares.next())
        file = PictureFile(DRAWN_FIRST, io.BytesIO(generated.pictures[0].data))
        return _Source(await self._reader.read_sheet(file), DRAWN_FIRST, generated)

    async def _check(self, source: _Source, wish: LayersWish, rule: LayerRule) -> None:
        most = (wish.layers or rule.usual) + rule.usual * len(wish.decompose)
        check_amount(source.sheet, most, source.field, self._reader.max_pixels)
        await asyncio.to_thread(check_source, source.sheet, source.field)

    async def _decomposed(
        self, parts: list[Part], indices: Sequence[int], rule: LayerRule, separating: Separating, shares: Shares
    ) -> tuple[list[Part], list[str]]:
        """Each of these layers in parts, in its place; and what could not be done, as sentences for the caller."""
        finer: list[list[Part]] = [[part] for part in parts]
        warnings = []
        for index in indices:
            listener = shares.next()
            if index >= len(parts):
                warnings.append(f"there is no layer {index} to decompose: the picture has {len(parts)}")
            elif parts[index].box is None:
                warnings.append(f"layer {index} ({parts[index].name}) is empty and was not decomposed")
            else:
                drawn = await separating.run(parts[index].pixels, rule.usual, listener)
                with timed(self._telemetry, Stage.LAYERS_RESTORE):
                    finer[index] = await asyncio.to_thread(parts_of_part, parts[index], drawn)
        return [part for some in finer for part in some], warnings

    async def _result(
        self, source: _Source, wish: LayersWish, separating: Separating, parts: list[Part], warnings: list[str]
    ) -> LayersResult:
        with timed(self._telemetry, Stage.ENCODE_IMAGE):
            layers = in_order(parts)
            composite = await asyncio.to_thread(composite_of, layers)
            return LayersResult(
                layers=await pictures(parts, wish.format if wish.output is LayersFormat.LIST else None),
                composite=await asyncio.to_thread(encode_sheet, composite, wish.format),
                psnr=await likeness(source.sheet, composite),
                size=size_of(source.sheet),
                drawn=separating.drawn(size_of(source.sheet)),
                file=await packed(layers, composite, wish.output),
                source=None if source.generated is None else source.generated.pictures[0],
                usage=_with(source.generated, separating.usage(source.sheet)),
                warnings=(*_warnings(source.generated), *separating.warnings, *warnings),
            )


def _warnings(generated: Generated | None) -> tuple[str, ...]:
    return () if generated is None else generated.warnings


def _with(generated: Generated | None, usage: TokenUsage) -> TokenUsage:
    """Both together."""
    if generated is None:
        return usage
    first = generated.usage
    return TokenUsage(first.text + usage.text, first.images + usage.images, first.output + usage.output, pictures=1)
