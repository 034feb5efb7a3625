"""Lightflow as its owner meets it: the release archive, the installer, the setup link, and the API with a token."""

import http.client
import json
import re
import time
import urllib.parse
from pathlib import Path

from board import Board, Unexpected, trusting

UNPACKED = "/home/debian/lightflow"
DATA = "/media/ssd/podman/lightflow/data"
HTTPS_PORT = 8443
PASSWORD = "correct horse battery staple"


class Appliance:
    """The runner on the board, asked over HTTPS."""

    def __init__(self, board: Board):
        self.board = board
        self.tunnel = board.tunnel(HTTPS_PORT)
        self.tls = None
        self.token = ""

    def unpack(self, release: Path):
        """Copies the archive to the board and unpacks it in the user's home."""
        self.board.put(release, f"/home/debian/{release.name}")
        unpack = "tar --zstd -xf" if release.suffix in (".zst", ".tzst") else "tar -xf"
        self.board.do(
            f"rm -rf {UNPACKED}; mkdir {UNPACKED}; {unpack} {release.name} -C {UNPACKED} --strip-components=1", "debian"
        )

    def install(self, *options: str) -> str:
        """The one command; returns its output."""
        answer = self.board.run(f"cd {UNPACKED}; sudo ./install {' '.join(options)} 2>&1", "debian")
        if answer.code != 0:
            raise Unexpected(f"the installer ended with {answer.code}:\n{answer.out}{answer.err}")
        return answer.out

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", cookie: str = ""
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """One request, on a connection of its own."""
        if self.tls is None:
            self.tls = trusting(self.board.do(f"cat {DATA}/tls/cert*.pem"))
        connection = http.client.HTTPSConnection("localhost", HTTPS_PORT, timeout=120, context=self.tls)
        connection.sock = self.tls.wrap_socket(self.tunnel.connect(120), server_hostname="localhost")
        headers = {"Origin": f"https://localhost:{HTTPS_PORT}"}
        headers |= {"Content-Type": kind} if kind else {}
        headers |= {"Cookie": cookie} if cookie else {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def api(self, method: str, path: str, body: dict | None = None, raw: bytes | None = None):
        """A request to the API that has to succeed; returns its JSON, or the text of any other answer."""
        content = raw if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw is not None else "application/json" if body is not None else ""
        status, answer, headers = self.request(method, "/api/v1" + path, content, kind)
        if status >= 400:
            raise Unexpected(f"{method} {path} is answered with {status}: {answer.decode(errors='replace')}")
        if headers.get_content_type() == "application/json":
            return json.loads(answer)
        return answer.decode(errors="replace")

    def is_healthy(self) -> bool:
        """True if the page answers."""
        try:
            return self.request("GET", "/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_until_healthy(self, patience_s: float = 300):
        """Waits for that."""
        until = time.monotonic() + patience_s
        while not self.is_healthy():
            if time.monotonic() > until:
                raise Unexpected(f"the page does not answer after {patience_s:.0f} s")
            time.sleep(0.05)

    def make_admin(self, printed: str):
        """Follows the setup link that the installer printed, and makes a token for programs."""
        link = re.search(r"https://\S+/setup\?token=([\w-]+)", printed)
        if link is None:
            raise Unexpected(f"there is no setup link in what the installer printed:\n{printed}")
        page = self.request("GET", f"/setup?token={link[1]}")
        if page[0] != 200:
            raise Unexpected(f"the setup link leads to {page[0]}")
        form = {"token": link[1], "name": "admin", "password": PASSWORD, "repeat": PASSWORD}
        body = urllib.parse.urlencode(form).encode()
        status, _, headers = self.request("POST", "/setup", body, "application/x-www-form-urlencoded")
        if status != 303 or not headers["Set-Cookie"]:
            raise Unexpected(f"the form of the setup page is answered with {status}")
        cookie = headers["Set-Cookie"].partition(";")[0]
        wish = json.dumps({"name": "e2e", "role": "admin"}).encode()
        status, answer, _ = self.request("POST", "/api/v1/tokens", wish, "application/json", cookie)
        if status != 201:
            raise Unexpected(f"no token is made: {status} {answer.decode()}")
        self.token = json.loads(answer)["token"]
        if self.request("GET", f"/setup?token={link[1]}")[0] == 200:
            raise Unexpected("the setup link works a second time")
