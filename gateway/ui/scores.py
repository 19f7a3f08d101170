"""Scores of a premium try-on's candidates, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

from gateway.ui.answers import Candidate

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


def scores_html(candidates: Sequence[Candidate]) -> str:
    """A row a candidate and a column a score, in percent, in the order given; empty where nothing was judged."""
    if not candidates:
        return ""
    names = list(candidates[0].scores)
    head = "".join(f'<th scope="col">{escape(_TITLES.get(name, name.capitalize()))}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{"Refined" if one.refined else "Candidate"} {one.seed}</th>{_cell(one.score)}'
        f"{''.join(_cell(one.scores.get(name)) for name in names)}</tr>"
        for one in candidates
    )
    titles = f'<tr><th></th><th scope="col">Overall</th>{head}</tr>'
    return f'<div class="scores"><table><thead>{titles}</thead><tbody>{rows}</tbody></table></div>'


def _cell(score: float | None) -> str:
    if score is None:
        return "<td></td>"
    percent = round(100 * score)
    return f'<td style="--score:{percent}%">{percent}</td>'
