"""Scheduler names users may ask for (ALICE's spelling) and which of them a model's prediction type allows."""

from enum import StrEnum

from families.manifest import Prediction


class SchedulerName(StrEnum):
    """Every scheduler name that the API accepts. Aliases keep their own member: answers echo what was asked."""

    DPMPP = "dpm++"
    DPMPP_KARRAS = "dpm++_karras"
    DPMPP_2M_KARRAS = "dpm++_2m_karras"
    DPMPP_SDE = "dpm++_sde"
    DPMPP_SDE_KARRAS = "dpm++_sde_karras"
    EULER = "euler"
    EULER_A = "euler_a"
    EULER_ANCESTRAL = "euler_ancestral"
    HEUN = "heun"
    DDIM = "ddim"
    PNDM = "pndm"
    LMS = "lms"
    UNIPC = "unipc"
    FLOW_MATCH_EULER = "flow_match_euler"


FLOW_SCHEDULERS = (SchedulerName.FLOW_MATCH_EULER,)


def supported_schedulers(prediction: Prediction) -> tuple[SchedulerName, ...]:
    """Schedulers which can sample a model of this prediction type, in the order the API lists them."""
    if prediction is Prediction.FLOW:
        return FLOW_SCHEDULERS
    return tuple(name for name in SchedulerName if name not in FLOW_SCHEDULERS)
