from triptych.triton.models.component import TritonPythonModel  # noqa: F401
