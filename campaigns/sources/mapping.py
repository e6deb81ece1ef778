"""How a file's columns become a record's fields: what a mapping file may say.

A mapping file says where each field comes from: a column under another name, a
constant, or a template of several columns. Without one, the columns must bear the
fields' own names. A mapping is checked against the file before the first row is read.
"""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from campaigns.domain.records import RECORDS, ZoneName
from campaigns.errors import InputError


class FieldSource(BaseModel):
    """Where one field's value comes from.

    Attributes:
        column: A column of the file.
        constant: The same value for every row.
        template: Text with columns in braces, such as `{account}@example.com`.
        default: What stands in place of an empty value.
        values: What each value of the column means; others are rejected.
        through: The value is the id of a subscription or contact; its account is meant.
        unit: `major` for money given as 12.50, `s` or `ms` for seconds or
            milliseconds since 1970.
        zone: The zone of naive times in this column.
        zone_column: The column that names the zone of each row's time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    constant: Any = None
    template: str | None = None
    default: Any = None
    values: dict[str, Any] | None = None
    through: Literal["subscriptions", "contacts"] | None = None
    unit: Literal["major", "minor", "s", "ms"] | None = None
    zone: ZoneName | None = None
    zone_column: str | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> "FieldSource":
        given = (self.column, self.constant, self.template)
        if sum(each is not None for each in given) != 1:
            raise ValueError("give exactly one of column, constant, template")
        if self.zone and self.zone_column:
            raise ValueError("give zone or zone_column, not both")
        for _, name, format_, conversion in Formatter().parse(self.template or ""):
            if name == "" or format_ or conversion:
                raise ValueError("a template holds columns in braces, as {account}")
        return self

    def columns(self) -> list[str]:
        """Return the columns this source reads."""
        zone = [self.zone_column] if self.zone_column else []
        if self.column is not None:
            return [self.column, *zone]
        parts = Formatter().parse(self.template or "")
        return [*(name for _, name, _, _ in parts if name), *zone]


class MappingFile(BaseModel):
    """What a mapping file holds.

    Attributes:
        files: Which files of a folder hold these records, such as `export_users*`.
        encoding: Of a text file that is not UTF-8, such as `cp1252`.
        distinct: The file lists one record on many rows: the first row of each is
            taken, the others are counted as unchanged.
        zone: The zone of naive times in all columns.
        fields: Each field's source; a plain string is a column's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: str | None = None
    encoding: str | None = None
    distinct: bool = False
    zone: ZoneName | None = None
    fields: dict[str, str | FieldSource] = Field(default_factory=dict)

    def reads_through(self, kind: str) -> bool:
        """Say whether a field is read through records of `kind`."""
        given = (each for each in self.fields.values() if not isinstance(each, str))
        return any(each.through == kind for each in given)


def read_mapping(path: Path | None, *, kind: str) -> MappingFile | None:
    """Return the mapping in the file at `path`, or None without a path.

    Raises:
        InputError: The file cannot be read or names fields that `kind` has not.
    """
    if path is None:
        return None
    try:
        mapping = MappingFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"{path}: {where}: {error.errors()[0]['msg']}") from error
    known = list(RECORDS[kind].model_fields)
    for name in mapping.fields:
        if name not in known:
            raise InputError(f"{path}: {kind} have no field {_suggest(name, known)}")
    return mapping


def field_sources(
    kind: str,
    columns: Sequence[str],
    mapping: MappingFile | None,
    *,
    file: str,
    is_ragged: bool,
) -> dict[str, FieldSource]:
    """Return where each field of `kind` comes from in a file with these columns.

    Raises:
        InputError: Columns are missing, or unknown where no mapping is given.
    """
    sources = {
        name: FieldSource(column=given) if isinstance(given, str) else given
        for name, given in (mapping.fields if mapping else {}).items()
    }
    # A mapping need only name what differs.
    sources |= {
        name: FieldSource(column=name)
        for name in RECORDS[kind].model_fields
        if name not in sources and (is_ragged or name in columns)
    }
    if not is_ragged:
        _check_columns(kind, columns, sources, has_mapping=bool(mapping), file=file)
    return sources


def _check_columns(
    kind: str,
    columns: Sequence[str],
    sources: dict[str, FieldSource],
    *,
    has_mapping: bool,
    file: str,
) -> None:
    for name, source in sources.items():
        for column in source.columns():
            if column not in columns:
                raise InputError(
                    f"{file}: the mapping takes {name} from a column that the file "
                    f"does not have: {_suggest(column, columns)}"
                )
    fields = RECORDS[kind].model_fields
    required = [name for name, each in fields.items() if each.is_required()]
    if missing := [name for name in required if name not in sources]:
        raise InputError(
            f"{file}: {kind} need {', '.join(missing)}, and no column bears that name; "
            f"the file has {', '.join(columns) or 'no columns'}; give --map FILE"
        )
    unknown = [column for column in columns if column not in fields]
    if unknown and not has_mapping:
        raise InputError(
            f"{file}: unknown column {_suggest(unknown[0], list(fields))}; rename it, "
            "or give --map FILE (with a mapping, columns it does not name are left out)"
        )


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{name!r}{hint}; there are: {', '.join(known)}"
