"""Plugins of the whole suite."""

from families.telemetry import silence

pytest_plugins = ("tests.support.outside", "tests.support.parity")

silence()  # tests may load libraries before the packages that do so for themselves
