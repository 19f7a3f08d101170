"""Plans and stored artefacts in a terminal, and as JSON for programs."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from export.artefacts.usage import StoredUse
from export.plan import PlannedStep, Verdict
from families.manifest import triton_model_name

_COLOURS = {Verdict.HIT: "green", Verdict.MISS: "yellow", Verdict.CORRUPT: "red"}
_SHOWN_CHANGES = 6
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


def plan_lines(steps: Iterable[PlannedStep]) -> Iterator[Text]:
    """A line an artefact; below a missing one why it must be built."""
    for step in steps:
        what = f"{step.target.value} {step.key.graph.precision.value}"
        line = Text(f"{triton_model_name(step.model, step.component)}  {what}  ")
        line.append(step.verdict.value, _COLOURS[step.verdict])
        took = "" if step.seconds is None else f", built in {readable_age(step.seconds)}"
        expected = "" if step.seconds is None else f", takes about {readable_age(step.seconds)}"
        line.append(f"  {readable_size(step.size)}{took if step.verdict is Verdict.HIT else expected}")
        line.append(f"  ({step.recipe})", "dim")
        yield line
        if step.reason:
            yield Text(f"    {step.reason}")
        for change in step.changes[:_SHOWN_CHANGES]:
            yield Text(f"    {change}")
        if len(step.changes) > _SHOWN_CHANGES:
            yield Text(f"    and {len(step.changes) - _SHOWN_CHANGES} more fields (--json has all)")


def plan_json(steps: Iterable[PlannedStep]) -> list[JsonValue]:
    """The same as plain values; sizes in bytes, times in seconds."""
    return [
        {
            "model": step.model,
            "component": step.component.value,
            "recipe": step.recipe,
            "target": step.target.value,
            "precision": step.key.graph.precision.value,
            "key": step.key.digest,
            "verdict": step.verdict.value,
            "reason": step.reason,
            "changes": [
                {"field": change.field, "before": change.before, "after": change.after} for change in step.changes
            ],
            "size": step.size,
            "free": step.free,
            "seconds": step.seconds,
            "folder": str(step.folder),
        }
        for step in steps
    ]


def stored_lines(uses: Iterable[StoredUse], now: float) -> Iterator[Text]:
    """A line an artefact, and who uses it."""
    for use in uses:
        stored = use.artefact
        graph, facts = stored.key.graph, stored.record.facts
        what = [stored.key.target.value, graph.precision.value]
        if graph.quantisation is not None:
            what.append(graph.quantisation.method.value)
        if "opset" in facts:
            what.append(f"opset {facts['opset']}")
        age = readable_age(now - stored.record.created)
        line = Text(f"{stored.model}/{stored.folder.name}  {' '.join(what)}  {readable_size(stored.record.size)}")
        line.append(f"  {age} old, built by {stored.record.recipe} in {readable_age(stored.record.seconds)}")
        yield line
        users = Text("    used by ")
        yield users.append(", ".join(use.users)) if use.users else users.append("nobody", "yellow")


def stored_json(uses: Iterable[StoredUse]) -> list[JsonValue]:
    """The same as plain values; `created` in seconds since the epoch, sizes in bytes."""
    return [
        {
            "model": use.artefact.model,
            "component": use.artefact.key.component.value,
            "target": use.artefact.key.target.value,
            "precision": use.artefact.key.graph.precision.value,
            "key": use.artefact.key.digest,
            "folder": str(use.artefact.folder),
            "size": use.artefact.record.size,
            "created": use.artefact.record.created,
            "seconds": use.artefact.record.seconds,
            "recipe": use.artefact.record.recipe,
            "facts": dict(use.artefact.record.facts),
            "used_by": list(use.users),
        }
        for use in uses
    ]


def readable_size(size: int) -> str:
    """Bytes with a unit of thousands."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def readable_age(seconds: float) -> str:
    """The two digits that matter."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
