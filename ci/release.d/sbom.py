"""The list of all components of a release, as SPDX 2.3: https://spdx.github.io/spdx-spec/v2.3/"""

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from crates import Crate, licence
from rclone import MODULE, Pin

NONE = "NOASSERTION"


def spdx_id(*words: str) -> str:
    """An identifier has letters, digits, dots and dashes."""
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def package(ident: str, name: str, version: str, purl: str, sha256: str | None = None, declared: str = NONE) -> dict:
    """One entry."""
    entry = {
        "SPDXID": ident, "name": name, "versionInfo": version, "downloadLocation": NONE, "filesAnalyzed": False,
        "licenseConcluded": NONE, "licenseDeclared": declared, "copyrightText": NONE,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }
    if sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return entry


def write(version: str, revision: str, epoch: int, crates: set[Crate], known: dict[Crate, dict], sums: dict[Crate, str],
          debian: dict[str, list[list[str]]], rclones: dict[Pin, set[tuple[str, str]]]) -> str:
    """The document; `debian` are the lines of the lock by architecture, `rclones` the Go modules in each rclone."""
    root = spdx_id("lightflow")
    packages = [package(root, "lightflow", version, f"pkg:generic/lightflow@{version}", declared="MIT")]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", root)]
    for crate in sorted(crates):
        ident = spdx_id("crate", crate.name, crate.version)
        packages.append(package(ident, crate.name, crate.version, f"pkg:cargo/{crate.name}@{quote(crate.version)}",
                                sums[crate], licence(known[crate])))
        relations.append((root, "CONTAINS", ident))
    for arch, lines in sorted(debian.items()):
        image = spdx_id("image", arch)
        packages.append(package(image, f"lightflow-{arch}.oci.tar", version, f"pkg:oci/lightflow@{version}?arch={arch}"))
        relations.append((root, "CONTAINS", image))
        for name, package_version, _, path, digest in lines:
            ident = spdx_id("deb", arch, name)
            of = "all" if Path(path).name.endswith("_all.deb") else arch
            purl = f"pkg:deb/debian/{name}@{quote(package_version)}?arch={of}&distro=trixie"
            packages.append(package(ident, name, package_version, purl, digest))
            relations.append((image, "CONTAINS", ident))
    listed = set()
    for pin, modules in sorted(rclones.items(), key=lambda item: item[0].arch):
        program = spdx_id("rclone", pin.arch)
        packages.append(package(program, f"bin/{pin.arch}/rclone", pin.version,
                                f"pkg:golang/{MODULE}@v{pin.version}?arch={pin.arch}", pin.program, "MIT"))
        relations.append((root, "CONTAINS", program))
        for name, module_version in sorted(modules):
            if name == MODULE:
                continue
            ident = spdx_id("go", name, module_version)
            if ident not in listed:
                packages.append(package(ident, name, module_version, f"pkg:golang/{name}@{quote(module_version)}"))
                listed.add(ident)
            relations.append((program, "CONTAINS", ident))
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"lightflow-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/lightflow-{version}-{revision}",
        "creationInfo": {"created": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Tool: lightflow-ci-release"]},
        "packages": packages,
        "relationships": [{"spdxElementId": source, "relationshipType": kind, "relatedSpdxElement": target}
                          for source, kind, target in relations],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def read_lock(path: Path) -> list[list[str]]:
    """Name, version, archive, path and digest of each package of the image."""
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
