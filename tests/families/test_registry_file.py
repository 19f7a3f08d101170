"""The registry file: the shipped one, and what a mistake says."""

from pathlib import Path

import pytest

from families.registry import SHIPPED_FILE, RegistryError, load_declarations

ENTRY = "{alias: a, family: f, licence: l, commercial_use: true}"


def test_the_shipped_file() -> None:
    declarations = load_declarations(SHIPPED_FILE)
    assert {"wardrobe", "sd15", "sdxl", "flux2-klein-4b", "qwen-image-layered", "catvton"} <= set(declarations.aliases)
    assert declarations.find("flux2-klein-4b").variable == "TRIPTYCH_MODEL_FLUX2_KLEIN_4B"
    # Terms of the authors which forbid commercial use; getting one wrong has consequences.
    forbidden = {entry.alias for entry in declarations.models if not entry.commercial_use}
    assert forbidden == {
        "flux2-klein-9b",
        "catvton",
        "idm-vton",
        "ootdiffusion",
        "schp-atr",
        "segformer-b2-clothes",
        "rmbg-1.4",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [{alias: a}]", "models.0.licence: Field required"),
        ("models: [{alias: A B, family: f, licence: l, commercial_use: true}]", "models.0.alias: String should match"),
        (f"models: [{ENTRY}, {ENTRY}]", "two models share the alias a"),
        (
            f"models: [{ENTRY.replace('alias: a', 'alias: a-b')}, {ENTRY.replace('alias: a', 'alias: a.b')}]",
            "two models share the environment variable TRIPTYCH_MODEL_A_B",
        ),
        ("models: [{alias: a, family: f, licence: l, commercial_use: true, pattern: x}]", "models.0.pattern: Extra"),
        (f"models: [{ENTRY[:-1]}, patterns: [../x]}}]", "must be a relative path below a root"),
        (f"models: [{ENTRY[:-1]}, patterns: [/x]}}]", "must be a relative path below a root"),
        (f"models: [{ENTRY[:-1]}, patterns: ['**/x']}}]", "'**' would walk whole mounts"),
        (f"models: [{ENTRY[:-1]}, repository: ../x/y}}]", "models.0.repository: "),
        ("models: 5", "models: "),
        ("", "top level: "),
        ("a: [", "while parsing"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(text)
    with pytest.raises(RegistryError) as caught:
        load_declarations(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"none\.yaml"):
        load_declarations(tmp_path / "none.yaml")
