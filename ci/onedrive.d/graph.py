"""Microsoft Graph's requests for a drive, each a method that turns a request into a reply.

Invariant: a request is first named (its kind and the path that it is about), so that faults can meet it before it has any effect.
"""

import json
import math
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import parse_qs, quote, unquote, urlsplit

from drive import FILE, FOLDER, Drive, Item, Refused
from settings import Settings
from tokens import Tokens
from uploads import Uploads

GRAPH = "graph.microsoft.com"
LOGIN = "login.microsoftonline.com"
UPLOAD = "upload.onedrive.test"
DOWNLOAD = "download.onedrive.test"
HOSTS = (GRAPH, LOGIN, UPLOAD, DOWNLOAD)
PAGE = 200
MAX_PAGE = 1000
CONFLICT = "@microsoft.graph.conflictBehavior"
WHERE = re.compile(
    r"/(?:v1\.0|beta)/(?:drives/(?P<drive>[^/]+)|me/drive)"
    r"(?:/(?:root|items/(?P<id>[^/:]+))(?::/(?P<path>[^:]*)(?::|$))?(?P<action>/.*)?)?$"
)
CHILD = re.compile(r"/children\('(?P<leaf>.*)'\)(?P<action>/.*)?$|/children\((?P<alias>@\w+)\)(?P<action2>/.*)?$")
CODES = {
    401: "unauthenticated",
    403: "accessDenied",
    404: "itemNotFound",
    429: "activityLimitReached",
    503: "serviceNotAvailable",
}


@dataclass
class Request:
    """A request as it came, and its name."""

    host: str
    method: str
    target: str
    headers: dict[str, str]
    kind: str = "other"
    about: str = ""
    body: bytes = b""
    # Reads the path: an item to start from, a path below it, an action.
    drive: str | None = None
    item: str | None = None
    path: str = ""
    action: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The line that faults are matched with."""
        return f"{self.kind} {self.method} {self.host}{self.target} {self.about}".rstrip()

    def number(self, name: str, usual: int) -> int:
        """A number in the query."""
        text = self.query.get(name, str(usual))
        if not re.fullmatch(r"\d{1,9}", text):
            raise Refused(400, "invalidRequest", f"{name} is no number")
        return int(text)

    def json(self) -> dict:
        """The body, which has to be a JSON object."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, "invalidRequest", "The body is no JSON") from error
        if not isinstance(value, dict):
            raise Refused(400, "invalidRequest", "The body is no JSON object")
        return value


@dataclass
class Reply:
    """An answer to send."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(status: int, value, headers: dict[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def error(status: int, code: str = "", message: str = "", inner: str = "", headers: dict[str, str] | None = None) -> Reply:
    """An error in Graph's form."""
    code = code or CODES.get(status, "generalException")
    told = {"code": code, "message": message or code[:1].upper() + code[1:]}
    if inner:
        told["innerError"] = {"code": inner}
    return as_json(status, {"error": told}, headers)


class Graph:
    """The drive's API and its token endpoint, upload and download hosts."""

    def __init__(self, drive: Drive, tokens: Tokens, settings: Settings):
        self.drive = drive
        self.tokens = tokens
        self.settings = settings
        self.uploads = Uploads(drive)
        self.copies: dict[str, list] = {}
        self.downloads: dict[str, str] = {}

    # Naming

    def name(self, request: Request):
        """Sets the request's kind, the item that it names, and the path that it is about."""
        url = urlsplit(request.target)
        request.query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        last = unquote(url.path.rpartition("/")[2])
        if request.host == LOGIN:
            request.kind = "token" if url.path.endswith("/oauth2/v2.0/token") else "other"
        elif request.host == UPLOAD:
            request.kind = {"PUT": "chunk", "GET": "position", "DELETE": "session-cancel"}.get(request.method, "other")
            request.item = last
            session = self.uploads.sessions.get(last)
            request.about = session.path if session else ""
        elif request.host == DOWNLOAD:
            request.kind = "download"
            request.item = self.downloads.get(last)
            item = self.drive.items.get(request.item)
            request.about = item.path if item else ""
        elif url.path.startswith("/monitor/"):
            request.kind, request.item = "monitor", last
        else:
            self._name_item(request, url.path)

    def _name_item(self, request: Request, path: str):
        match = WHERE.match(path)
        if match is None:
            return
        request.drive = unquote(match["drive"]) if match["drive"] else None
        request.path = unquote(match["path"] or "")
        request.action = unquote(match["action"] or "")
        request.item = unquote(match["id"]) if match["id"] else "root"
        if child := CHILD.match(request.action):
            leaf = child["leaf"] if child["leaf"] is not None else request.query.get(child["alias"], "").strip("'")
            request.path = leaf.replace("''", "'")
            request.action = child["action"] or child["action2"] or ""
        named = path.rstrip("/").endswith(match["drive"] or "me/drive")
        request.kind = "drive" if named else self._kind_of(request.method, request.action)
        base = self.drive.root if request.item == "root" else self.drive.items.get(request.item)
        below = f"/{request.path}" if request.path else ""
        request.about = (f"{base.path if base else request.item}{below}") or "/"

    @staticmethod
    def _kind_of(method: str, action: str) -> str:
        kinds = {
            "GET": {"": "item", "/children": "children", "/content": "content", "/versions": "versions", "/delta": "delta"}
            | {"/contentStream": "content-stream"},
            "POST": {
                "/children": "folder",
                "/createUploadSession": "session",
                "/copy": "copy",
                "/permanentDelete": "delete-for-good",
            },
            "PUT": {"/content": "put"},
            "PATCH": {"": "patch"},
            "DELETE": {"": "delete"},
        }
        if method == "DELETE" and action.startswith("/versions/"):
            return "delete-version"
        return kinds.get(method, {}).get(action, "other")

    # Answering

    def answer(self, request: Request) -> Reply:
        """The normal answer."""
        handler = getattr(self, f"_{request.kind.replace('-', '_')}")
        try:
            if request.kind == "token":
                return self._token(request)
            if denied := self._denied(request):
                return denied
            with self.drive.lock:
                return handler(request)
        except Refused as refused:
            return error(refused.status, refused.code, refused.message, refused.inner)

    def _denied(self, request: Request) -> Reply | None:
        shown = request.headers.get("authorization", "")
        if request.host in (UPLOAD, DOWNLOAD):
            if shown and self.settings.refuse_bearer:
                return error(401, "unauthenticated", "Unauthenticated")
            return None
        if request.kind == "monitor":
            return None
        if not self.tokens.good(shown):
            told = 'Bearer realm="", error="invalid_token", error_description="expired_token"'
            return error(401, "InvalidAuthenticationToken", "Access token has expired.", headers={"WWW-Authenticate": told})
        if self.settings.read_only and request.method not in ("GET", "HEAD"):
            return error(403, "accessDenied", "Access denied")
        return None

    def _other(self, request: Request) -> Reply:
        return error(400, "invalidRequest", f"The stand-in does not know {request.method} {request.target}")

    def _token(self, request: Request) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
        return as_json(*self.tokens.renew(form))

    # Items

    def _base(self, request: Request) -> Item:
        """The item with the id in the path."""
        if request.drive is not None and request.drive.lower() != self.drive.id.lower():
            raise Refused(400, "invalidRequest", "ObjectHandle is Invalid")
        return self.drive.by_id(request.item)

    def _target(self, request: Request) -> Item:
        """The item that the whole path names."""
        return self.drive.at(self._base(request), request.path)

    def _drive(self, request: Request) -> Reply:
        self._base(request)
        used = self.drive.used + self.drive.recycled
        quota = {
            "total": self.settings.quota,
            "used": used,
            "remaining": max(0, self.settings.quota - used),
            "deleted": self.drive.recycled,
            "state": "normal" if used < self.settings.quota else "exceeded",
        }
        kind = "business" if self.drive.business else "personal"
        return as_json(200, {"id": self.drive.id, "driveType": kind, "quota": quota})

    def _item(self, request: Request) -> Reply:
        return as_json(200, self.view(self._target(request)))

    def _children(self, request: Request) -> Reply:
        folder = self._target(request)
        top = min(MAX_PAGE, max(1, request.number("$top", PAGE)))
        return self._page(request, list(folder.children.values()), top)

    def _delta(self, request: Request) -> Reply:
        folder = self._target(request)
        return self._page(request, list(folder.walk()), PAGE, {"@odata.deltaLink": f"https://{GRAPH}{request.target}"})

    def _page(self, request: Request, items: list[Item], top: int, last: dict | None = None) -> Reply:
        begin = request.number("$skiptoken", 0)
        page = {"value": [self.view(item) for item in items[begin : begin + top]]}
        if begin + top < len(items):
            path = urlsplit(request.target).path
            page["@odata.nextLink"] = f"https://{GRAPH}{path}?$top={top}&$skiptoken={begin + top}"
        else:
            page.update(last or {})
        return as_json(200, page)

    def _folder(self, request: Request) -> Reply:
        body = request.json()
        modified, _ = times(body)
        name, behaviour = str(body.get("name", "")), conflict(body, request, "fail")
        folder = self.drive.make_folder(self._target(request), name, behaviour, modified)
        return as_json(201, self.view(folder))

    def _put(self, request: Request) -> Reply:
        parent, name = self.drive.place(self._base(request), request.path)
        present = self.drive.find(parent, name)
        item = self.drive.write(parent, name, request.body, conflict({}, request, "replace"))
        return as_json(200 if present else 201, self.view(item))

    def _session(self, request: Request) -> Reply:
        body = request.json().get("item") or {}
        if not isinstance(body, dict):
            raise Refused(400, "invalidRequest", "The item is no JSON object")
        parent, name = self.drive.place(self._base(request), request.path)
        modified, _ = times(body)
        size = body.get("fileSize")
        session = self.uploads.create(parent, name, conflict(body, request, "replace"), modified, size)
        return as_json(200, {"uploadUrl": f"https://{UPLOAD}/up/{session}", **self.uploads.status(session)})

    def _chunk(self, request: Request) -> Reply:
        item = self.uploads.put(request.item, request.headers.get("content-range", ""), request.body)
        if item is None:
            return as_json(202, self.uploads.status(request.item))
        return as_json(201, self.view(item))

    def _position(self, request: Request) -> Reply:
        return as_json(200, self.uploads.status(request.item))

    def _session_cancel(self, request: Request) -> Reply:
        self.uploads.cancel(request.item)
        return Reply(204)

    def _content(self, request: Request) -> Reply:
        item = self._target(request)
        if item.kind != FILE:
            raise Refused(400, "invalidRequest", "A folder has no content")
        if item.malware and request.query.get("AVOverride") != "1":
            reply = error(403, "malwareDetected", "Malware detected")
            reply.headers["X-Virus-Infected"] = "Virus.Standin"
            return reply
        ticket = secrets.token_urlsafe(16)
        self.downloads[ticket] = item.id
        return Reply(302, b"", {"Location": f"https://{DOWNLOAD}/down/{ticket}"})

    def _content_stream(self, request: Request) -> Reply:
        if "forceInfectedDownload" not in request.headers.get("prefer", ""):
            raise Refused(403, "malwareDetected", "Malware detected")
        return self._part_of(self._target(request), request.headers.get("range"))

    def _download(self, request: Request) -> Reply:
        return self._part_of(self.drive.by_id(request.item or ""), request.headers.get("range"))

    @staticmethod
    def _part_of(item: Item, wanted: str | None) -> Reply:
        data = item.content.data
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if wanted is None:
            return Reply(200, data, headers)
        match = re.match(r"bytes=(\d*)-(\d*)$", wanted)
        if match is None or not any(match.groups()):
            raise Refused(400, "invalidRequest", "The Range header is malformed")
        first, last = match.groups()
        begin = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last), len(data) - 1) if first and last else len(data) - 1
        if begin >= len(data):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
        return Reply(206, data[begin : end + 1], headers)

    def _patch(self, request: Request) -> Reply:
        item, body = self._target(request), request.json()
        parent = item.parent
        reference = body.get("parentReference") or {}
        if reference.get("id"):
            parent = self.drive.by_id(reference["id"])
        elif reference.get("path"):
            parent = self.drive.at(self.drive.root, unquote(reference["path"].partition(":")[2]))
        name = body.get("name", item.name)
        if parent is not item.parent or name != item.name:
            self.drive.move(item, parent, name, conflict(body, request, "fail"))
        modified, created = times(body)
        if modified is not None or created is not None:
            self.drive.set_times(item, modified, created)
        return as_json(200, self.view(item))

    def _delete(self, request: Request) -> Reply:
        self.drive.delete(self._target(request))
        return Reply(204)

    def _delete_for_good(self, request: Request) -> Reply:
        self.drive.delete(self._target(request), for_good=True)
        return Reply(204)

    def _copy(self, request: Request) -> Reply:
        item, body = self._target(request), request.json()
        reference = body.get("parentReference") or {}
        parent = self.drive.by_id(reference["id"]) if reference.get("id") else item.parent
        name = body.get("name", item.name)
        self.drive.check_name(parent, name)
        monitor = secrets.token_urlsafe(16)
        self.copies[monitor] = [self.settings.copy_polls, item, parent, name, conflict(body, request, "fail")]
        return Reply(202, b"", {"Location": f"https://{GRAPH}/monitor/{monitor}"})

    def _monitor(self, request: Request) -> Reply:
        job = self.copies.get(request.item)
        if job is None:
            raise Refused(404, "itemNotFound", "There is no such operation")
        if job[0] > 0:
            job[0] -= 1
            return as_json(202, {"operation": "ItemCopy", "percentageComplete": 50.0, "status": "inProgress"})
        if len(job) > 1:
            try:
                self.drive.copy(*job[1:])
            except Refused as refused:
                return as_json(200, {"operation": "ItemCopy", "status": "failed", "errorCode": refused.code})
            # The copy is made once, however often its monitor is asked.
            del job[1:]
        return as_json(200, {"operation": "ItemCopy", "percentageComplete": 100.0, "status": "completed"})

    def _versions(self, request: Request) -> Reply:
        item = self._target(request)
        current = (f"{item.change}.0", item.modified, item.content)
        listed = [(version, modified, content) for version, modified, content in [current, *item.versions] if content]
        view = [
            {"id": version, "lastModifiedDateTime": self.stamp(modified), "size": len(content.data)}
            for version, modified, content in listed
        ]
        return as_json(200, {"value": view})

    def _delete_version(self, request: Request) -> Reply:
        self.drive.drop_version(self._target(request), request.action.rpartition("/")[2])
        return Reply(204)

    # Views

    def stamp(self, seconds: float) -> str:
        """A time as this account tells it: business to the second, personal to the millisecond."""
        moment = datetime.fromtimestamp(math.floor(seconds * 1000 + 0.5) / 1000, timezone.utc)
        if self.drive.business:
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"

    def view(self, item: Item) -> dict:
        """An item as Graph tells it."""
        modified, created = self.stamp(item.modified), self.stamp(item.created)
        view = {
            "id": item.id,
            "name": item.name,
            "size": item.size,
            "eTag": f'"{{{item.id}}},{item.change}"',
            "cTag": f'"c:{{{item.id}}},{item.change}"',
            "createdDateTime": created,
            "lastModifiedDateTime": modified,
            "fileSystemInfo": {"createdDateTime": created, "lastModifiedDateTime": modified},
            "webUrl": f"https://onedrive.test{quote(item.path)}",
        }
        kind = "business" if self.drive.business else "personal"
        view["parentReference"] = {"driveId": self.drive.id, "driveType": kind}
        if item.parent is None:
            view["root"] = {}
        else:
            view["parentReference"] |= {"id": item.parent.id, "path": f"/drives/{self.drive.id}/root:{quote(item.parent.path)}"}
        if item.kind == FOLDER:
            view["folder"] = {"childCount": len(item.children)}
        else:
            told = {"quickXorHash": item.content.quick_xor}
            if self.settings.account == "personal-sha1":
                told = {"sha1Hash": item.content.sha1}
            view["file"] = {"mimeType": "application/octet-stream", "hashes": told}
        if item.malware:
            view["malware"] = {}
        return view


def conflict(body: dict, request: Request, usual: str) -> str:
    """The conflict behaviour that a request asks for, in its body or its query."""
    word = body.get(CONFLICT) or request.query.get(CONFLICT) or usual
    if word not in ("fail", "replace", "rename"):
        raise Refused(400, "invalidRequest", f"{word} is no conflict behaviour")
    return word


def times(body: dict) -> tuple[float | None, float | None]:
    """The times of modification and creation in `fileSystemInfo`."""
    info = body.get("fileSystemInfo") or {}
    return tuple(parse_time(info.get(name)) for name in ("lastModifiedDateTime", "createdDateTime"))


def parse_time(text: str | None) -> float | None:
    """Seconds since 1970."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise Refused(400, "invalidRequest", f"{text} is no time") from wrong
    # rclone sends the year 1 for "unknown".
    return moment.timestamp() if moment.year > 1600 else time.time()
