"""The facts that a client learned from the runner: acknowledged runs, and runs that were shown as finished.

The runner may break none of them later, whatever happens to it.
"""

from dataclasses import dataclass, field

from lightflow_server import Server, ServerError


@dataclass(frozen=True)
class Acknowledged:
    """A run that the API accepted, and the position in the log of the disk at that moment."""

    run: int
    task: str
    position: int


@dataclass(frozen=True)
class Shown:
    """A finished run as the API showed it, the number of stamps at that moment, and the position in the log of the disk."""

    run: int
    state: str
    steps: tuple
    stamps: int
    position: int


@dataclass
class History:
    """All facts of one case."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    shown: dict[int, Shown] = field(default_factory=dict)
    tasks: list[tuple[str, int]] = field(default_factory=list)
    cancelled: list[tuple[int, int]] = field(default_factory=list)

    def runs(self) -> list[int]:
        """The acknowledged runs."""
        return [one.run for one in self.acknowledged]

    def until(self, position: int) -> "History":
        """The facts that were known when the log of the disk had this length."""
        return History(
            [one for one in self.acknowledged if one.position <= position],
            {run: one for run, one in self.shown.items() if one.position <= position},
            [one for one in self.tasks if one[1] <= position],
            [one for one in self.cancelled if one[1] <= position],
        )


class Client:
    """Asks a server and remembers the answers in a history."""

    def __init__(self, workshop, position=lambda: 0):
        self.workshop = workshop
        self.position = position
        self.history = History()

    def trigger(self, server: Server, task: str):
        """Starts a run, unless the task runs already or the server dies meanwhile."""
        answer = quietly(server, "POST", f"/tasks/{task}/run", {})
        if answer is not None:
            self.history.acknowledged.append(Acknowledged(answer["run"], task, self.position()))

    def retry(self, server: Server, run: int):
        """Repeats the end of a run."""
        answer = quietly(server, "POST", f"/runs/{run}/retry", {})
        if answer is not None:
            self.history.acknowledged.append(Acknowledged(answer["run"], "retry", self.position()))

    def cancel(self, server: Server, run: int, force: bool):
        """Cancels a run."""
        if quietly(server, "POST", f"/runs/{run}/cancel", {"force": force}, empty=True) is not None:
            self.history.cancelled.append((run, self.position()))

    def look(self, server: Server):
        """Remembers all finished runs that the API shows. The stamps are counted later: steps of a finished run write none."""
        answer = quietly(server, "GET", "/runs?limit=500")
        if answer is None:
            return
        position, stamps = self.position(), len(self.workshop.stamps())
        for run in answer["runs"]:
            if run["finished"] and run["id"] not in self.history.shown:
                steps = tuple((step["name"], step["state"], step["attempt"]) for step in run["steps"])
                self.history.shown[run["id"]] = Shown(run["id"], run["state"], steps, stamps, position)


def quietly(server: Server, method: str, path: str, body=None, empty: bool = False):
    """The answer; none where the server refuses or dies, which a round of kills expects."""
    try:
        answer = server.api(method, path, body)
    except (OSError, ServerError, ValueError, server.broken):
        return None
    return answer if answer is not None or not empty else {}
