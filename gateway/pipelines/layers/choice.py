"""Which model takes a picture apart."""

from families.manifest import LayerRule
from gateway.domain.errors import InvalidRequest, ModelNotFound
from gateway.pipelines.models import ModelLibrary, ServedModel
from gateway.pipelines.purpose import purpose_of


def layered_model(models: ModelLibrary, name: str | None) -> tuple[ServedModel, LayerRule]:
    """The model of this name, or the first that takes pictures apart. Raises ModelNotFound, InvalidRequest."""
    layered = [model for model in models.all() if model.manifest.layers is not None]
    if name is None and not layered:
        raise ModelNotFound("this server serves no model that takes pictures apart", param="model")
    model = layered[0] if name is None else models.find(name)
    rule = model.manifest.layers
    if rule is None:
        known = ", ".join(model.public_id for model in layered) or "none"
        raise InvalidRequest(
            f"the model {model.public_id} takes no pictures apart: it {purpose_of(model.manifest)}; those that do: "
            f"{known}",
            param="model",
        )
    return model, rule
