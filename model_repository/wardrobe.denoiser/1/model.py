from triptych.triton.models.denoiser import TritonPythonModel  # noqa: F401
