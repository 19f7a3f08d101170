"""Samplers: one diffusers scheduler per image, so that images of different schedules share a batch."""

from engine.samplers.sampler import Sampler
from engine.samplers.schedule import Schedule, schedule_for
from engine.samplers.schedulers import build_scheduler

__all__ = ["Sampler", "Schedule", "build_scheduler", "schedule_for"]
