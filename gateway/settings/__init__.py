"""Every setting of the gateway, read in one place.

Precedence: command line > environment > YAML file > default. An environment variable is `TRIPTYCH_` plus the key with
`__` between its parts: `TRIPTYCH_SERVER__PORT=9000`. An unknown key anywhere is an error that names it.
"""

from gateway.settings.drawing import TryOnSettings
from gateway.settings.incoming import FetchSettings
from gateway.settings.models import BackendSettings, HardwareSettings, ResidencySettings
from gateway.settings.serving import LoggingSettings
from gateway.settings.settings import Settings
from gateway.settings.sources import Scalar, SettingsError

__all__ = [
    "BackendSettings",
    "FetchSettings",
    "HardwareSettings",
    "LoggingSettings",
    "ResidencySettings",
    "Scalar",
    "Settings",
    "SettingsError",
    "TryOnSettings",
]
