"""One command's runs of its model, and what they cost."""

from families.manifest import LayerRule
from gateway.domain.layering import LayersWish
from gateway.domain.layers import Sheet
from gateway.domain.pictures import GenerateListener, PictureSize, TokenUsage
from gateway.pipelines.drawing import patches
from gateway.pipelines.frame import size_of
from gateway.pipelines.layers.draw import Drawn, LayersDraw, Separation, drawn_size
from gateway.pipelines.models import ServedModel
from gateway.pipelines.prompts import cut_warnings


class Separating:
    """Of one picture and, with the same caption, of its layers."""

    def __init__(self, drawer: LayersDraw, model: ServedModel, rule: LayerRule, wish: LayersWish) -> None:
        self._drawer = drawer
        self._model = model
        self._rule = rule
        self._wish = wish
        guided = model.manifest.guided and wish.guidance_scale > 1
        negative, positive = (model.tokenizer.encode(text) for text in (wish.negative_prompt, wish.prompt))
        self._prompts = (negative, positive) if guided else (positive,)
        self.warnings = cut_warnings(positive, negative)
        self._runs = 0
        self._frames = 0

    def drawn(self, size: PictureSize) -> PictureSize:
        """At which the model works on a picture of this size."""
        return drawn_size(size, self._wish.resolution, self._rule)

    async def run(self, sheet: Sheet, layers: int, listener: GenerateListener | None) -> Drawn:
        """So many layers of a sheet. Raises BackendError."""
        self._runs += 1
        self._frames += 1 + layers
        return await self._drawer.draw(
            Separation(self._model, self._rule, self._wish, self._prompts, sheet, layers, listener)
        )

    def usage(self, source: Sheet) -> TokenUsage:
        """Of the runs so far, all of them at the source's size: the picture as a whole is drawn each time too."""
        each = patches(self.drawn(size_of(source)))
        text = sum(prompt.kept for prompt in self._prompts)
        return TokenUsage(text=text, images=each * self._runs, per_picture=each, pictures=self._frames)
