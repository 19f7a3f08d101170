"""Weights as users write them: `(word)` is 1.1, `[word]` 1 / 1.1, `(word:1.3)` 1.3; nested brackets multiply.

A backslash before a bracket or a backslash makes it a letter. Brackets which have no partner are letters too: there is
no wrong prompt.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STEP = 1.1
_LIMIT = 10.0
"""Largest size of a weight; what lies far below it already destroys the picture."""
_MARKS = re.compile(
    r"\\(?P<escaped>[()\[\]\\])|(?P<opening>[(\[])|:\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)|(?P<closing>[)\]])"
)
_OPENING = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class WeightedText:
    """A part of a prompt and how much it counts; 1 is as written."""

    text: str
    weight: float


@dataclass(slots=True)
class _Run:
    """`text` as it stands unless the run is a bracket with a partner; then the weight changes by `factor`."""

    text: str
    bracket: str = ""
    factor: float | None = None


def parse_weights(prompt: str) -> tuple[WeightedText, ...]:
    """The prompt's text without its marks, in parts of one weight each; takes time linear in the prompt."""
    runs = _runs(prompt)
    _pair(runs)
    parts: list[WeightedText] = []
    for text, weight in _walk(runs):
        if parts and parts[-1].weight == weight:  # one text: words must not break where only a letter's mark was
            parts[-1] = WeightedText(parts[-1].text + text, weight)
        else:
            parts.append(WeightedText(text, weight))
    return tuple(parts) or (WeightedText("", 1.0),)


def _runs(prompt: str) -> list[_Run]:
    runs, position = [], 0
    for mark in _MARKS.finditer(prompt):
        runs.append(_Run(prompt[position : mark.start()]))
        position = mark.end()
        if mark["escaped"]:
            runs.append(_Run(mark["escaped"]))
        elif mark["opening"]:
            runs.append(_Run(mark["opening"], mark["opening"]))
        elif mark["closing"]:
            runs.append(_Run(mark["closing"], mark["closing"]))
        else:
            runs.append(_Run(mark[0], ")", float(mark["number"])))
    runs.append(_Run(prompt[position:]))
    return runs


def _pair(runs: Sequence[_Run]) -> None:
    """Give every pair of brackets its factors; those without a partner become letters."""
    open_now: list[_Run] = []
    waiting = {"(": 0, "[": 0}
    for run in runs:
        if run.bracket in waiting:
            open_now.append(run)
            waiting[run.bracket] += 1
        elif run.bracket:
            wanted = _OPENING[run.bracket]
            if not waiting[wanted]:
                run.bracket = ""
                continue
            while (partner := open_now.pop()).bracket != wanted:
                waiting[partner.bracket] -= 1
                partner.bracket = ""
            waiting[wanted] -= 1
            usual = _STEP if wanted == "(" else 1 / _STEP
            partner.factor = usual if run.factor is None else run.factor
    for run in open_now:
        run.bracket = ""


def _walk(runs: Sequence[_Run]) -> Iterator[tuple[str, float]]:
    weights = [1.0]
    for run in runs:
        if not run.bracket:
            if run.text:
                yield run.text, weights[-1]
        elif run.bracket in _OPENING:
            weights.pop()
        else:
            product = weights[-1] * (run.factor or 0.0)
            weights.append(max(-_LIMIT, min(_LIMIT, product)))
