"""Scores of a premium try-on's pictures, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

from gateway.ui.answers import PictureAnswer

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "outside": "Surroundings",
        "colour": "Colours",
        "pattern": "Pattern",
        "parse": "Fit",
        "identity": "Face",
        "pose": "Pose",
    }
)


def scores_html(pictures: Sequence[PictureAnswer]) -> str:
    """A row a picture and a column a score, in percent; empty where nothing was judged."""
    judged = [(picture, picture.scores) for picture in pictures if picture.scores]
    if not judged:
        return ""
    names = list(judged[0][1])
    head = "".join(f'<th scope="col">{escape(_TITLES.get(name, name.capitalize()))}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">seed {picture.seed}</th>{_cell(picture.score)}'
        f"{''.join(_cell(scores.get(name)) for name in names)}</tr>"
        for picture, scores in judged
    )
    titles = f'<tr><th></th><th scope="col">Overall</th>{head}</tr>'
    return f'<div class="scores"><table><thead>{titles}</thead><tbody>{rows}</tbody></table></div>'


def _cell(score: float | None) -> str:
    if score is None:
        return "<td></td>"
    percent = round(100 * score)
    return f'<td style="--score:{percent}%">{percent}</td>'
