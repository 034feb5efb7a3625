"""The drive: items by id and by path, their versions, the recycle bin and the quota.

Invariant: the names in a folder differ by their key (see names.py), and every name was checked. All methods expect that the
caller holds `lock`.
"""

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field

import hashes
import names
from settings import Settings

FOLDER = "folder"
FILE = "file"
# SharePoint's additions to an Office file, here only their number of bytes.
GROWTH = b"\0" * 1234


class Refused(Exception):
    """Graph's answer to a request that it does not carry out."""

    def __init__(self, status: int, code: str, message: str, inner: str = ""):
        super().__init__(message)
        self.status, self.code, self.message, self.inner = status, code, message, inner


@dataclass
class Content:
    """The bytes of a file with their hashes; they never change."""

    data: bytes
    quick_xor: str = ""
    sha1: str = ""

    def __post_init__(self):
        self.quick_xor = hashes.quick_xor(self.data)
        self.sha1 = hashlib.sha1(self.data).hexdigest().upper()

    def flipped(self, bit: int) -> "Content":
        """The same content with one bit changed, told with the hash of the intact bytes, as a bad disk would have it."""
        data = bytearray(self.data)
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        return FlippedContent(bytes(data), self.quick_xor, self.sha1)


class FlippedContent(Content):
    """Content with hashes that were taken before a bit flipped."""

    def __post_init__(self):
        pass


@dataclass
class Item:
    """A file or a folder."""

    id: str
    kind: str
    name: str
    parent: "Item | None"
    modified: float
    created: float
    content: Content | None = None
    children: dict[str, "Item"] = field(default_factory=dict)
    versions: list[tuple[str, float, Content]] = field(default_factory=list)
    change: int = 1
    malware: bool = False

    @property
    def size(self) -> int:
        """The bytes of a file, or of all files in a folder."""
        if self.content is not None:
            return len(self.content.data)
        return sum(child.size for child in self.children.values())

    @property
    def stored(self) -> int:
        """The bytes that count against the quota: the content and the former versions."""
        own = self.size if self.kind == FILE else 0
        return own + sum(len(old.data) for _, _, old in self.versions) + sum(child.stored for child in self.children.values())

    @property
    def path(self) -> str:
        """The path from the root: "" for the root, "/a/b" for others."""
        return "" if self.parent is None else f"{self.parent.path}/{self.name}"

    def walk(self):
        """This item and all below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()


class Drive:
    """One account's drive."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.business = settings.account == "business"
        self.id = "b!kq2v" + "A" * 54 if self.business else "8f3c21d0aa5e77b4"
        self.lock = threading.RLock()
        self.used = 0
        self.recycled = 0
        self.recycle_bin: list[Item] = []
        self._numbers = itertools.count(101)
        now = time.time()
        self.root = Item(self._new_id(), FOLDER, "root", None, now, now)
        self.items = {self.root.id: self.root}

    def _new_id(self) -> str:
        number = next(self._numbers)
        return f"01STANDIN{number:025d}" if self.business else f"{self.id.upper()}!s{number:032x}"

    def by_id(self, item_id: str) -> Item:
        """The item with this id."""
        if item_id == "root":
            return self.root
        item = self.items.get(item_id)
        if item is None:
            raise Refused(404, "itemNotFound", "The resource could not be found.")
        return item

    def find(self, item: Item, path: str) -> Item | None:
        """The item at a path below another one."""
        for name in filter(None, path.split("/")):
            item = item.children.get(names.key(name))
            if item is None:
                return None
        return item

    def at(self, item: Item, path: str) -> Item:
        """The item at a path below another one, which has to be there."""
        found = self.find(item, path)
        if found is None:
            raise Refused(404, "itemNotFound", "Item does not exist")
        return found

    def place(self, item: Item, path: str) -> tuple[Item, str]:
        """The folder and the name of a file to come; missing folders are made, as Graph does."""
        *folders, name = [part for part in path.split("/") if part] or [""]
        for folder in folders:
            item = self.find(item, folder) or self.make_folder(item, folder, "fail")
        if item.kind != FOLDER:
            raise Refused(400, "invalidRequest", "The parent is not a folder")
        self.check_name(item, name)
        return item, name

    def check_name(self, parent: Item, name: str):
        """Refuses a name that this drive does not take in this folder."""
        try:
            names.check(name, self.business)
        except names.BadName as error:
            raise Refused(400, "invalidRequest", f"The provided name is not valid: {error}") from error
        try:
            names.check_path(f"{parent.path}/{name}"[1:])
        except names.BadName as error:
            raise Refused(400, "invalidRequest", str(error), "pathIsTooLong") from error

    def check_room(self, size: int):
        """Refuses more bytes than the quota leaves."""
        if self.used + self.recycled + size > self.settings.quota:
            raise Refused(507, "quotaLimitReached", "Insufficient Space Available")

    def _add(self, item: Item):
        item.parent.children[names.key(item.name)] = item
        self.items[item.id] = item

    def _free_name(self, parent: Item, name: str) -> str:
        stem, dot, ending = name.rpartition(".")
        stem, ending = (stem, dot + ending) if stem else (name, "")
        return next(new for n in itertools.count(1) if names.key(new := f"{stem} {n}{ending}") not in parent.children)

    def _settle(self, parent: Item, name: str, conflict: str) -> tuple[Item | None, str]:
        """The item to replace and the name to take, by the conflict behaviour."""
        present = parent.children.get(names.key(name))
        if present is None:
            return None, name
        if conflict == "rename":
            return None, self._free_name(parent, name)
        if conflict == "replace" and present.kind == FILE:
            return present, name
        raise Refused(409, "nameAlreadyExists", "An item with the same name already exists under the parent")

    def make_folder(self, parent: Item, name: str, conflict: str, modified: float | None = None) -> Item:
        """Makes a folder."""
        self.check_name(parent, name)
        present = parent.children.get(names.key(name))
        if present is not None and present.kind == FOLDER and conflict == "replace":
            return present
        _, name = self._settle(parent, name, "fail" if conflict == "replace" else conflict)
        now = time.time()
        folder = Item(self._new_id(), FOLDER, name, parent, modified or now, now)
        self._add(folder)
        return folder

    def write(self, parent: Item, name: str, data: bytes, conflict: str = "replace", modified: float | None = None) -> Item:
        """Stores a file. A file that was there keeps its id, and its content becomes a version."""
        self.check_name(parent, name)
        present, name = self._settle(parent, name, conflict)
        if names.grows(name, self.business) and data:
            data += GROWTH
        self.check_room(len(data))
        now = time.time()
        if present is None:
            present = Item(self._new_id(), FILE, name, parent, modified or now, now, Content(data))
            self._add(present)
        else:
            self._keep_version(present)
            present.content, present.modified, present.malware = Content(data), modified or now, False
            present.change += 1
        self.used += len(data)
        return present

    def _keep_version(self, item: Item):
        if self.settings.versions:
            item.versions.insert(0, (f"{item.change}.0", item.modified, item.content))
        else:
            self.used -= item.size

    def set_times(self, item: Item, modified: float | None, created: float | None):
        """Sets the times. On business this makes a new version of a file."""
        if modified is not None and self.business and item.kind == FILE and modified != item.modified:
            self.check_room(item.size)
            self._keep_version(item)
            self.used += item.size
        item.modified = item.modified if modified is None else modified
        item.created = item.created if created is None else created
        item.change += 1

    def drop_version(self, item: Item, version: str):
        """Deletes a former version."""
        kept = [entry for entry in item.versions if entry[0] != version]
        if len(kept) == len(item.versions):
            raise Refused(404, "itemNotFound", "There is no such version")
        self.used -= sum(len(entry[2].data) for entry in item.versions if entry[0] == version)
        item.versions = kept

    def move(self, item: Item, parent: Item, name: str, conflict: str = "fail"):
        """Moves and renames; id, times and hash stay."""
        if item is self.root:
            raise Refused(403, "accessDenied", "The root cannot be moved")
        self.check_name(parent, name)
        ancestor: Item | None = parent
        while ancestor is not None:
            if ancestor is item:
                raise Refused(400, "invalidRequest", "A folder cannot be moved below itself")
            ancestor = ancestor.parent
        present = parent.children.get(names.key(name))
        if present is not None and present is not item:
            if conflict != "replace" or present.kind != FILE:
                raise Refused(409, "nameAlreadyExists", "Name already exists")
            self.delete(present)
        del item.parent.children[names.key(item.name)]
        item.parent, item.name = parent, name
        item.change += 1
        self._add(item)

    def copy(self, item: Item, parent: Item, name: str, conflict: str = "replace") -> Item:
        """Copies a file or a tree; the copies have ids of their own and no versions."""
        if item.kind == FOLDER:
            children = list(item.children.values())
            folder = self.make_folder(parent, name, conflict)
            for child in children:
                self.copy(child, folder, child.name, conflict)
            return folder
        present, name = self._settle(parent, name, conflict)
        self.check_name(parent, name)
        self.check_room(item.size)
        if present is not None:
            self._keep_version(present)
            present.content, present.modified, present.change = item.content, item.modified, present.change + 1
        else:
            present = Item(self._new_id(), FILE, name, parent, item.modified, time.time(), item.content)
            self._add(present)
        self.used += item.size
        return present

    def delete(self, item: Item, for_good: bool = False):
        """Moves an item to the recycle bin, where it still counts, or deletes it for good."""
        if item is self.root:
            raise Refused(403, "accessDenied", "The root cannot be deleted")
        del item.parent.children[names.key(item.name)]
        for gone in item.walk():
            del self.items[gone.id]
        self.used -= item.stored
        if not for_good:
            self.recycle_bin.append(item)
            self.recycled += item.stored

    def empty_recycle_bin(self):
        """Frees the room of deleted items."""
        self.recycle_bin.clear()
        self.recycled = 0
