"""Plugins of the whole suite."""

from hypothesis import settings

from families.telemetry import silence

pytest_plugins = ("tests.support.outside", "tests.support.parity")

silence()  # tests may load libraries before the packages that do so for themselves

# By default an example may take 200 ms, which a pause of a busy machine is too.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
