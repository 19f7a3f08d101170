"""One value where a thing has several names: names may repeat each other, and must not contradict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from gateway.api.picture_sources import PictureReference
from gateway.domain.edits import PictureFile
from gateway.domain.tryon_errors import InputValidationError

_T = TypeVar("_T")


def agreed(thing: str, given: Mapping[str, _T | None]) -> _T | None:
    """The one value of `thing` among `given` (value by field, None: silent). Raises InputValidationError."""
    said = [(field, value) for field, value in given.items() if value is not None]
    for field, value in said[1:]:
        first, known = said[0]
        if value != known:
            raise InputValidationError(
                f"two {thing} values: '{first}' says {_shown(known)} and '{field}' says {_shown(value)}; send one",
                param=field,
            )
    return said[0][1] if said else None


def picture_lists(
    texts: Mapping[str, Sequence[str] | str | None], files: Mapping[str, Sequence[PictureFile]]
) -> dict[str, tuple[PictureReference, ...]]:
    """The pictures under each of `texts`' fields, where there are any. Raises InputValidationError."""
    found = {}
    for field, text in texts.items():
        written = [text] if isinstance(text, str) else list(text or ())
        sent = files.get(field, ())
        if written and sent:
            raise InputValidationError(f"'{field}' is given both as a file and as a text; send one", param=field)
        sources: list[str | PictureFile] = [*sent, *written]
        references = tuple(PictureReference(field, source) for source in sources)
        if references:
            found[field] = references
    return found


def agreed_pictures(thing: str, given: Mapping[str, tuple[PictureReference, ...]]) -> tuple[PictureReference, ...]:
    """The pictures of `thing`, none where no field has any. Raises InputValidationError."""
    fields = list(given)
    for field in fields[1:]:
        # Files are not compared: whoever sends two means two.
        if _sources(given[field]) != _sources(given[fields[0]]):
            raise InputValidationError(
                f"two pictures for {thing}: '{fields[0]}' and '{field}'; send one of them", param=field
            )
    return given[fields[0]] if fields else ()


def only(thing: str, pictures: tuple[PictureReference, ...]) -> PictureReference | None:
    """The one picture, None without any. Raises InputValidationError."""
    if len(pictures) > 1:
        field = pictures[0].field
        raise InputValidationError(f"'{field}' has {len(pictures)} pictures; allowed for {thing}: one", param=field)
    return pictures[0] if pictures else None


def _sources(references: Iterable[PictureReference]) -> list[str | PictureFile]:
    return [reference.source for reference in references]


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " and ".join(_shown(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
