"""The command line of ci/onedrive, inside the namespaces that it made."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import control
from faults import BadFault
from settings import ACCOUNTS, Settings
from world import World


def parse(words: list[str]) -> argparse.Namespace:
    """The options; ci/onedrive prints the help."""
    parser = argparse.ArgumentParser(prog="ci/onedrive", usage="see ci/onedrive --help", add_help=False)
    parser.add_argument("--account", choices=ACCOUNTS, default="personal")
    parser.add_argument("--accept-bearer", action="store_true")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--latency", type=float, default=0, metavar="MS")
    parser.add_argument("--tps", type=float, default=0)
    parser.add_argument("--bandwidth", type=float, default=0, metavar="BYTES")
    parser.add_argument("--quota", type=int, default=5 << 40, metavar="BYTES")
    parser.add_argument("--token-life", type=float, default=3600, metavar="S")
    parser.add_argument("--faults", type=Path, metavar="FILE")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--remote", default="drive")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("verb", choices=("run", "shell", "serve"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    options.command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.verb == "run" and not options.command:
        parser.error("run needs a command")
    if options.verb != "run" and options.command:
        parser.error(f"{options.verb} takes no command")
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the options ask for."""
    return Settings(
        account=options.account,
        refuse_bearer=not options.accept_bearer,
        read_only=options.read_only,
        latency=options.latency / 1000,
        tps=options.tps,
        bandwidth=options.bandwidth,
        quota=options.quota,
        token_life=options.token_life,
    )


def summary(world: World) -> str:
    """The counters in a few lines."""
    figures = control.Control(world.standin).counters()
    kinds = ", ".join(f"{kind} {count}" for kind, count in figures["requests"].items())
    answers = ", ".join(f"{status}: {count}" for status, count in figures["answers"].items())
    text = f"{figures['total']} requests in {figures['seconds']} s: {kinds}\n"
    text += f"answers {answers}; {figures['bytes_up']} bytes up, {figures['bytes_down']} down, {figures['tokens']} tokens given"
    for fault in figures["faults"]:
        text += f"\nfault {fault['match']!r}: {fault['seen']} matches, {fault['hits']} hits"
    return text


def run(world: World, options: argparse.Namespace) -> int:
    """Runs the command, or serves until a signal comes."""
    if options.verb == "serve":
        print(f"ready: {world.folder}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        return 0
    # Ctrl-C is meant for the command.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command = options.command or [os.environ.get("SHELL", "/bin/bash")]
    try:
        child = subprocess.Popen(command, env=world.environment(), preexec_fn=restore_interrupt)
    except OSError as error:
        print(f"ci/onedrive: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return 128 - code if code < 0 else code


def restore_interrupt():
    """A command in this world is interrupted as usual."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> int:
    """Sets a world up and runs in it."""
    options = parse(sys.argv[1:])
    if options.verb == "serve":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    with World(settings_of(options), options.dir, options.remote) as world:
        if options.faults:
            try:
                world.standin.faults.replace(json.loads(options.faults.read_text()))
            except (BadFault, ValueError) as error:
                print(f"ci/onedrive: {options.faults}: {error}", file=sys.stderr)
                return 2
        code = run(world, options)
        if not options.quiet:
            print(summary(world), file=sys.stderr)
        return code


if __name__ == "__main__":
    sys.exit(main())
