"""How a Python model's process ends."""

import gc


def leave_objects_to_the_exit() -> None:
    """Let no collector walk torch's objects, half a million, again and again while the interpreter is taken down.

    That takes seconds of a core in each process, for which Triton waits; the kernel takes memory back at once.
    """
    gc.disable()
    gc.freeze()
