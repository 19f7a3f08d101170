"""Where a prompt that is longer than the text encoder reads at once is cut."""

from collections.abc import Sequence

_NEAR_THE_END = 4
"""A comma in the last part of a piece, one of so many, is a better place to cut than the piece's end."""


def cut(commas: Sequence[bool], room: int, most: int) -> tuple[slice, ...]:
    """Slices of the tokens, each of at most `room`, at most `most` of them and at least one; the rest is lost.

    `commas` says of every token whether it is one. The last piece that may be is filled to its end.
    """
    pieces: list[slice] = []
    start, count = 0, len(commas)
    while start < count and len(pieces) < most:
        stop = min(start + room, count)
        if stop < count and len(pieces) + 1 < most:
            earliest = stop - room // _NEAR_THE_END
            stop = next((place + 1 for place in range(stop - 1, earliest - 1, -1) if commas[place]), stop)
        pieces.append(slice(start, stop))
        start = stop
    return tuple(pieces) or (slice(0, 0),)
