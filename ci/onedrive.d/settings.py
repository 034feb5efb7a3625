"""The settings of a stand-in. A test may change all but the account while it runs."""

import dataclasses
from dataclasses import dataclass

ACCOUNTS = ("personal", "personal-sha1", "business")


class BadSetting(Exception):
    """There is no such setting, or its value has the wrong type."""


@dataclass
class Settings:
    """Behaviour of the account and its hosts."""

    # personal tells QuickXorHash, personal-sha1 tells SHA-1, as Microsoft did before 2023, business is SharePoint.
    account: str = "personal"
    # Whether the upload and the download host refuse a request that shows a bearer token.
    refuse_bearer: bool = True
    # Seconds that every request takes.
    latency: float = 0.0
    # Requests a second; more get 429 with Retry-After. 0: no limit.
    tps: float = 0.0
    # Bytes a second in each direction, for all connections together. 0: no limit.
    bandwidth: float = 0.0
    # The sign-in covers reading only.
    read_only: bool = False
    # Bytes that fit into the drive.
    quota: int = 5 << 40
    # Former contents of a file are kept, and count.
    versions: bool = True
    # How often a copy is still in progress when its monitor is asked.
    copy_polls: int = 1
    # Seconds that an access token lives.
    token_life: float = 3600.0
    # A refresh token is good once.
    refresh_once: bool = True

    def change(self, values: dict):
        """Sets some of them, or none when one is wrong."""
        kinds = {entry.name: type(entry.default) for entry in dataclasses.fields(self)}
        for name, value in values.items():
            if name == "account" or name not in kinds:
                raise BadSetting(f"{name!r} cannot be set; the settings are {', '.join(sorted(kinds.keys() - {'account'}))}")
            number = kinds[name] in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number and not isinstance(value, kinds[name]):
                raise BadSetting(f"{name} takes {kinds[name].__name__}, not {value!r}")
        for name, value in values.items():
            setattr(self, name, kinds[name](value))
