"""A folder of files: which of them holds which records, and by which mapping."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, NamedTuple

from campaigns.domain.records import RECORDS
from campaigns.errors import InputError
from campaigns.sources.mapping import read_mapping

_ENDINGS: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


class Found(NamedTuple):
    """A file, the kind of its records, and its mapping file if there is one."""

    kind: str
    path: Path
    mapping: Path | None


def files_in(folder: Path, mappings: Path) -> tuple[list[Found], list[Path]]:
    """Return the files of a folder, in the order to import them in.

    A file belongs to the kind whose mapping file's `files` pattern it fits or, where
    that says nothing, whose name its own begins or ends with: `usage-2026-01.csv.gz`,
    `2026-01_usage.jsonl`.

    Args:
        folder: The data files.
        mappings: The folder of mapping files, each called KIND.toml.

    Returns:
        What was found, kinds in the order of RECORDS and files by name; and the data
        files of which nobody says what they hold.

    Raises:
        InputError: There is no such folder, or a file fits two kinds.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    patterns = dict(_patterns(mappings))
    found: list[Found] = []
    unknown: list[Path] = []
    for path in sorted(folder.iterdir()):
        name = path.name.lower().removesuffix(".gz")
        if not path.is_file() or not name.endswith(_ENDINGS):
            continue
        kinds = [kind for kind in RECORDS if _fits(path.name, kind, patterns)]
        if len(kinds) > 1:
            raise InputError(
                f"{path}: fits {' and '.join(kinds)}; say which in a mapping file: "
                'files = "PATTERN"'
            )
        if not kinds:
            unknown.append(path)
            continue
        mapping = mappings / f"{kinds[0]}.toml"
        found.append(Found(kinds[0], path, mapping if mapping.exists() else None))
    order = list(RECORDS)
    return sorted(found, key=lambda each: order.index(each.kind)), unknown


def _patterns(mappings: Path) -> Iterator[tuple[str, str]]:
    for kind in RECORDS:
        path = mappings / f"{kind}.toml"
        mapping = read_mapping(path, kind=kind) if path.exists() else None
        if mapping and mapping.files:
            yield kind, mapping.files


def _fits(name: str, kind: str, patterns: dict[str, str]) -> bool:
    if kind in patterns:
        return fnmatch(name, patterns[kind])
    stem = name.lower().split(".", maxsplit=1)[0].replace("_", "-")
    return stem == kind or stem.startswith(f"{kind}-") or stem.endswith(f"-{kind}")
