"""The gateway starts light: without torch, quickly, in little memory; and its description is what it was."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.model_folder import write_model_folder
from tests.gateway.server import RunningGateway

SNAPSHOT = Path(__file__).parent / "openapi.json"

_BOOT = """
import sys, time

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "diffusers", "transformers", "onnxruntime", "onnx", "engine", "export"}:
            raise ImportError(f"{name} must not be imported by the gateway")

sys.meta_path.insert(0, Block())
from fastapi.testclient import TestClient
from gateway.app import create_app
from gateway.adapters.triton import TritonBackend
from gateway.settings import Settings
from pathlib import Path
settings = Settings.load(None, {"runtime_directory": sys.argv[1] + "/runtime"})
models = settings.models.model_copy(update={"directories": (Path(sys.argv[1]) / "models",)})
settings = settings.model_copy(update={"models": models})
backend = TritonBackend("127.0.0.1:9", [], settings.backend)
with TestClient(create_app(settings, backend)) as client:
    assert client.get("/livez").status_code == 200
    assert client.get("/v1/models").json()["data"][0]["id"] == "wardrobe"
    used = time.process_time()
    import psutil
    # Not getrusage: its peak is inherited from the process that started this one.
    print(used, psutil.Process().memory_info().rss / 2**20)
"""


def test_boots_without_torch_quickly_and_small(tmp_path: Path) -> None:
    write_model_folder(tmp_path / "models" / "wardrobe")
    command = [sys.executable, "-c", _BOOT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    seconds, megabytes = map(float, done.stdout.split())
    # Processor time, not wall time: other tests may be using the machine.
    assert seconds < 8  # 1.6 on an idle machine, twice that where another thread shares the core, more without .pyc
    assert megabytes < 200


def test_openapi_is_the_snapshot(gateway: RunningGateway) -> None:
    current = json.dumps(gateway.app.openapi(), indent=2, ensure_ascii=False) + "\n"
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(current, encoding="utf-8")
    assert current == SNAPSHOT.read_text(encoding="utf-8"), "changed on purpose? delete the snapshot and run again"


def test_openapi_refers_to_nothing_that_is_not_there(gateway: RunningGateway) -> None:
    description = gateway.app.openapi()
    named = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(description)))
    held = {f"#/components/{kind}/{name}" for kind, entries in description["components"].items() for name in entries}
    assert named
    assert named <= held


def test_openapi_describes_everything(gateway: RunningGateway) -> None:
    description = gateway.app.openapi()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"] and operation["description"] and operation["tags"], f"{method} {path}"
    request = description["components"]["schemas"]["ImageGenerationRequest"]
    for name, field in request["properties"].items():
        assert field.get("description"), f"{name} has no description"
    assert request["examples"] and request["additionalProperties"] is False
    for path in ("/v1/images/edits", "/v1/images/variations"):
        form = description["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert "image" in form["required"] and form["additionalProperties"] is False
        assert all(field.get("description") for field in form["properties"].values())
    schemas = description["components"]["schemas"]
    events = {f"{kind}{event}" for kind in ("", "Edit") for event in ("PartialImageEvent", "CompletedEvent")}
    assert events | {"ErrorEnvelope"} <= set(schemas)
    assert "HTTPValidationError" not in schemas
    for reference in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description)):
        assert reference in schemas


@pytest.mark.parametrize("default_model", ["nonesuch"])
def test_a_wrong_default_model_stops_the_start(tmp_path: Path, default_model: str) -> None:
    write_model_folder(tmp_path / "models" / "wardrobe")
    code = _BOOT.replace('"runtime_directory"', f'"models.default_model": "{default_model}", "runtime_directory"')
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "setting models.default_model: unknown model 'nonesuch'; available models: wardrobe" in done.stderr
