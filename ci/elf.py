"""As much of an ELF file as the checks of binaries and of the image ask for: 64 bits, little-endian."""

import struct

MACHINES = {62: "x86_64", 183: "aarch64"}
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5
SHT_NOBITS = 8


def is_elf(content: bytes) -> bool:
    """True for an ELF file that can be read here."""
    return content[:6] == b"\x7fELF\x02\x01"


class Elf:
    """One file."""

    def __init__(self, content: bytes):
        if not is_elf(content):
            raise ValueError("not a 64-bit little-endian ELF file")
        self.content = content
        (machine,) = struct.unpack_from("<H", content, 18)
        self.machine = MACHINES.get(machine, str(machine))
        self.segments_at, self.sections_at = struct.unpack_from("<QQ", content, 32)
        self.segment_size, self.segment_count, self.section_size, self.section_count, self.names = struct.unpack_from(
            "<5H", content, 54)

    def segments(self):
        """Type, offset in the file, address and size in the file of each segment."""
        for number in range(self.segment_count):
            at = self.segments_at + number * self.segment_size
            kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", self.content, at)
            yield kind, offset, address, size

    def sections(self) -> dict[str, bytes]:
        """The content of each section by its name."""
        headers = [struct.unpack_from("<IIQQQQ", self.content, self.sections_at + number * self.section_size)
                   for number in range(self.section_count)]
        if not headers:
            return {}
        names_at = headers[self.names][4]
        return {self._text(names_at + name): b"" if kind == SHT_NOBITS else self.content[offset:offset + size]
                for name, kind, _, _, offset, size in headers}

    def has_interpreter(self) -> bool:
        """True if a dynamic loader has to start it."""
        return any(kind == PT_INTERP for kind, _, _, _ in self.segments())

    def needed(self) -> list[str]:
        """The shared libraries that it asks for."""
        entries = [entry for kind, offset, _, size in self.segments() if kind == PT_DYNAMIC
                   for entry in struct.iter_unpack("<qQ", self.content[offset:offset + size])]
        strings = next((value for tag, value in entries if tag == DT_STRTAB), None)
        return [self._text(self._offset(strings) + value) for tag, value in entries if tag == DT_NEEDED]

    def _offset(self, address: int) -> int:
        for kind, offset, start, size in self.segments():
            if kind == PT_LOAD and start <= address < start + size:
                return offset + address - start
        raise ValueError("an address lies in no segment")

    def _text(self, at: int) -> str:
        return self.content[at:self.content.index(b"\0", at)].decode()
