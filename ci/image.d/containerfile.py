"""Reads image/Containerfile as the configuration of an OCI image.

Only the instructions that it uses are known, and each in the one form that it uses; any other is refused, so the file
cannot say something that the image is not.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

NANOSECONDS = 1_000_000_000


@dataclass
class Recipe:
    """The layers, in order, and the configuration."""

    copies: list[tuple[str, str]] = field(default_factory=list)
    config: dict = field(default_factory=lambda: {"Env": [], "Labels": {}})


def instructions(text: str):
    """Each instruction and its arguments."""
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            if line.endswith("\\"):
                raise SystemExit("Containerfile: instructions over several lines are not known here")
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def read(path: Path, arguments: dict[str, str]) -> Recipe:
    """Reads the file; `arguments` are what `--build-arg` would give."""
    recipe = Recipe()
    config = recipe.config
    known = set()
    for word, rest in instructions(path.read_text(encoding="utf-8")):
        match word:
            case "FROM" if rest == "scratch":
                pass
            case "ARG" if rest in arguments:
                known.add(rest)
            case "ADD" | "COPY":
                source, place = rest.split()
                recipe.copies.append((source, place))
            case "LABEL" | "ENV":
                name, _, value = shlex.split(rest)[0].partition("=")
                value = re.sub(r"\$\{(\w+)\}", lambda use: arguments[use[1]] if use[1] in known else use[0], value)
                if "$" in value:
                    raise SystemExit(f"Containerfile: nothing is known of {value}")
                if word == "ENV":
                    config["Env"].append(f"{name}={value}")
                else:
                    config["Labels"][name] = value
            case "WORKDIR":
                config["WorkingDir"] = rest
            case "USER":
                config["User"] = rest
            case "VOLUME":
                config["Volumes"] = {volume: {} for volume in json.loads(rest)}
            case "EXPOSE":
                config["ExposedPorts"] = {rest: {}}
            case "STOPSIGNAL":
                config["StopSignal"] = rest
            case "ENTRYPOINT":
                config["Entrypoint"] = json.loads(rest)
            case "CMD":
                config["Cmd"] = json.loads(rest)
            case "HEALTHCHECK":
                config["Healthcheck"] = healthcheck(rest)
            case _:
                raise SystemExit(f"Containerfile: {word} {rest} is not known here")
    return recipe


def healthcheck(rest: str) -> dict:
    """A key of Docker's configuration; OCI has no word for it, and leaves it to programs that know it."""
    options, _, command = rest.partition(" CMD ")
    check: dict = {"Test": ["CMD", *json.loads(command)]}
    for option in options.split():
        name, _, value = option.removeprefix("--").partition("=")
        if name == "retries":
            check["Retries"] = int(value)
        else:
            key = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}[name]
            check[key] = int(value.removesuffix("s")) * NANOSECONDS
    return check
