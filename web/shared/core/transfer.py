"""Import and export of any resource, as jobs.

In an app's ready():

    exporter("contacts.export", code="contacts.view", queryset=fn(viewer) -> QuerySet,
             columns={"id": "id", "name": fn(row)}, filters=ContactViewSet.filters)
    importer("contacts.import", row=ContactRow, write=fn(rows, actor, on_conflict) -> Written)

and in its api, views of web.shared.core.api.transfer_views. An export runs with the permissions that its
starter has when it runs, reads in slices by primary key, and can go on after the last slice written. An
import checks each row against `row` (a Body) and hands 1,000 good ones at a time to `write`, inside one
transaction with the job's progress: a killed import goes on with the next slice and writes no row twice. With
dry_run all is done and undone. Refused rows are told in the errors file: row (counted from 1, without the
header), pointer, code, detail.

Formats: CSV with a header (UTF-8, comma or semicolon) and NDJSON. In CSV a cell that a spreadsheet would take
for a formula gets an apostrophe in front on the way out, and loses it on the way in.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from web.shared.api.errors import as_problem
from web.shared.api.filters import RESERVED, AllowedFilters, Filter
from web.shared.api.problems import FieldError, Invalid, Malformed
from web.shared.core import jobs
from web.shared.core.actor import Actor
from web.shared.core.holders import viewer_now
from web.shared.core.viewer import Viewer

SLICE = 1000
MAX_ROWS = 1_000_000
MAX_LINE = 256 * 1024
FORMATS = ("csv", "ndjson")
CONFLICTS = ("skip", "update", "fail")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


# --- out ----------------------------------------------------------------------------------------------------

Column = str | Callable[[Any], Any]
Filters = Mapping[str, Filter] | Callable[[Viewer], Mapping[str, Filter]]


@dataclass(frozen=True, slots=True)
class Export:
    """`columns`: name → attribute, or function of the row; `queryset(viewer)` is what this viewer may see;
    `sensitive`: column → the code without which it stays empty, and may not be filtered by."""

    code: str
    queryset: Callable[[Viewer], QuerySet[Any]]
    columns: Mapping[str, Column]
    filters: Filters
    sensitive: Mapping[str, str]

    def rows(self, viewer: Viewer, filters: Mapping[str, str]) -> QuerySet[Any]:
        """The rows that `filters` (as in a URL) leave. Malformed or Forbidden for one that is not allowed."""
        if strange := sorted(filters.keys() & RESERVED):
            said = "An export takes filters only."
            raise Malformed(said, errors=[FieldError("/filters", "unknown_parameter", f"Not: {strange[0]}.")])
        asked: Any = SimpleNamespace(query_params=filters)
        body = SimpleNamespace(sensitive=self.sensitive)
        allowed = self.filters(viewer) if callable(self.filters) else self.filters
        view = SimpleNamespace(filters=allowed, viewer=viewer, get_serializer_class=lambda: body)
        return AllowedFilters().filter_queryset(asked, self.queryset(viewer), view)

    def values(self, row: Any, viewer: Viewer) -> dict[str, Any]:
        """What this viewer may read of `row`, by column."""
        hidden = {name for name, code in self.sensitive.items() if not viewer.may(code)}
        return {name: None if name in hidden else _cell(row, column) for name, column in self.columns.items()}


exports: dict[str, Export] = {}


def exporter(
    kind: str,
    *,
    code: str,
    queryset: Callable[[Viewer], QuerySet[Any]],
    columns: Mapping[str, Column],
    filters: Filters | None = None,
    sensitive: Mapping[str, str] | None = None,
) -> None:
    """Register an export; `filters` as the list's, or a function of who looks. `kind` ends in `.export`, so
    that an erasure can stop it."""
    if not kind.endswith(".export"):
        raise ValueError("the kind of an export ends in .export")
    exports[kind] = Export(code, queryset, columns, filters or {}, sensitive or {})
    jobs.kind(kind, _export, media_type="text/csv; charset=utf-8", extension="csv")


def start_export(
    kind: str, *, actor: Actor, viewer: Viewer, filters: Mapping[str, str], form: str = "csv"
) -> Any:
    """The job. Filters may hold what a person typed, so they are its input, not its parameters."""
    exports[kind].rows(viewer, filters)
    return jobs.start(kind, actor=actor, params={"format": form}, source=json.dumps(dict(filters)).encode())


def _export(handle: jobs.Handle) -> dict[str, Any]:
    export = exports[handle.kind]
    viewer = _viewer(handle, export.code)
    rows = export.rows(viewer, json.loads(handle.input.read_bytes())).order_by("pk")
    if not handle.place:
        handle.progress(0, rows.count(), {"size": 0, "last": None})
    write = _csv_line if handle.params["format"] == "csv" else _json_line
    with handle.output.open("ab") as out:
        out.truncate(handle.place["size"])
        if handle.place["size"] == 0 and handle.params["format"] == "csv":
            out.write(_csv_line(dict.fromkeys(export.columns), header=True))
        while page := list(_after(rows, handle.place["last"])[:SLICE]):
            for row in page:
                out.write(write(export.values(row, viewer)))
            out.flush()
            place = {"size": out.tell(), "last": str(page[-1].pk)}
            handle.progress(handle.done + len(page), place=place)
    return {"rows": handle.done}


def _viewer(handle: jobs.Handle, code: str) -> Viewer:
    viewer = viewer_now(handle.tenant_id, handle.actor.id)
    if viewer is None or not viewer.may(code):
        raise jobs.JobFailed("forbidden")
    return viewer


def _after(rows: QuerySet[Any], last: str | None) -> QuerySet[Any]:
    return rows if last is None else rows.filter(pk__gt=last)


def related(relation: str, attribute: str = "name") -> Column:
    """A column of what a row points at, empty where it points at nothing. Select the relation, too."""

    def value(row: Any) -> Any:
        found = getattr(row, relation)
        return "" if found is None else getattr(found, attribute)

    return value


def _cell(row: Any, column: Column) -> Any:
    value = column(row) if callable(column) else getattr(row, column)
    return str(value.pk) if isinstance(value, Model) else value


def _json_line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, default=_text).encode() + b"\n"


def _csv_line(values: Mapping[str, Any], *, header: bool = False) -> bytes:
    out = StringIO()
    csv.writer(out).writerow([defuse(_flat(one)) for one in (values if header else values.values())])
    return out.getvalue().encode()


def _flat(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return ";".join(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return _text(value)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def defuse(cell: str) -> str:
    """`cell` so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


# --- in -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts from 1; `values` is validated."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowError:
    number: int
    pointer: str
    code: str
    detail: str = ""

    def line(self) -> bytes:
        said = {"row": self.number, "pointer": self.pointer, "code": self.code, "detail": self.detail}
        return json.dumps(said, ensure_ascii=False).encode() + b"\n"


@dataclass(slots=True)
class Written:
    """What a slice became. A conflict under on_conflict="fail" is an error with code `conflict`."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    errors: list[RowError] = field(default_factory=list)

    def add(self, other: Written) -> None:
        self.created += other.created
        self.updated += other.updated
        self.skipped += other.skipped
        self.errors += other.errors


Write = Callable[[Sequence[Row], Actor, str], Written]


@dataclass(frozen=True, slots=True)
class Import:
    """`cells`: a CSV row's cells (those that are not empty) → the object that `row` checks."""

    row: type[serializers.Serializer[Any]]
    write: Write
    cells: Callable[[dict[str, str]], dict[str, Any]]
    columns: frozenset[str]


imports: dict[str, Import] = {}


def importer(
    kind: str,
    *,
    row: type[serializers.Serializer[Any]],
    write: Write,
    cells: Callable[[dict[str, str]], dict[str, Any]] = dict,
    columns: Sequence[str] | None = None,
) -> None:
    """Register an import. `columns`: what a CSV header may name (default: the fields of `row`)."""
    names = columns if columns is not None else list(row().fields)
    imports[kind] = Import(row, write, cells, frozenset(names))
    jobs.kind(kind, _import, media_type="application/x-ndjson", extension="ndjson")


def start_import(kind: str, *, actor: Actor, upload: Path, form: str, dry_run: bool, on_conflict: str) -> Any:
    """The job. ValidationError when the header names a column that this import does not know."""
    if form == "csv":
        _check_header(upload, imports[kind].columns)
    params = {"format": form, "dry_run": dry_run, "on_conflict": on_conflict}
    return jobs.start(kind, actor=actor, params=params, source=upload)


def _check_header(path: Path, columns: frozenset[str]) -> None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            header: list[str] = next(_csv_reader(source), [])
    except (UnicodeDecodeError, csv.Error):
        raise DjangoValidationError("The file is not CSV in UTF-8.", code="not_csv") from None
    strange = sorted(set(header) - columns)
    if strange or not header or len(set(header)) < len(header):
        known = ", ".join(sorted(columns))
        raise DjangoValidationError(f"The header must name some of: {known}.", code="bad_header")


def _import(handle: jobs.Handle) -> dict[str, Any]:
    entry = imports[handle.kind]
    if not handle.place:
        handle.progress(0, _count(handle), {"errors": 0, "counts": [0, 0, 0, 0]})
    with handle.errors.open("ab") as errors:
        errors.truncate(handle.place["errors"])
        rows = itertools.islice(_parsed(handle), handle.done, None)
        numbered = enumerate(rows, handle.done + 1)
        checker = _quick(entry.row())
        while slice_ := list(itertools.islice(numbered, SLICE)):
            _one_slice(handle, entry, checker, slice_, errors)
    if not handle.place["errors"]:
        handle.errors.unlink(missing_ok=True)
    created, updated, skipped, refused = handle.place["counts"]
    return {
        "created": created,
        "updated": updated,
        "skipped": skipped,
        "refused": refused,
        "dry_run": handle.params["dry_run"],
    }


class _NoSurrogates(ProhibitSurrogateCharactersValidator):
    """REST framework's check, which looks at each character in Python, only of texts that do not encode."""

    def __call__(self, value: Any) -> None:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            super().__call__(value)


def _quick(field: Any) -> Any:
    """`field` with the quick check in it and in all that it is made of: it is asked for each cell."""
    field.validators = [
        _NoSurrogates() if type(one) is ProhibitSurrogateCharactersValidator else one
        for one in field.validators
    ]
    for inner in (*getattr(field, "fields", {}).values(), getattr(field, "child", None)):
        if inner is not None:
            _quick(inner)
    return field


class _Undo(Exception):
    """Ends a dry run's transaction."""


def _one_slice(
    handle: jobs.Handle, entry: Import, checker: Any, slice_: list[tuple[int, Any]], errors: Any
) -> None:
    """Check, write and account for one slice, in one transaction with the job's progress."""
    rows, refused = _checked(entry, checker, slice_, csv_=handle.params["format"] == "csv")
    done = slice_[-1][0]
    if handle.params["dry_run"]:
        written = _tried(handle, entry, rows)
        written.errors += refused
        handle.progress(done, place=_place(handle, written, errors))
        return
    with transaction.atomic():
        written = _written(handle, entry, rows)
        written.errors += refused
        handle.progress(done, place=_place(handle, written, errors))


def _place(handle: jobs.Handle, written: Written, errors: Any) -> dict[str, Any]:
    for one in sorted(written.errors, key=lambda error: error.number):
        errors.write(one.line())
    errors.flush()
    more = (written.created, written.updated, written.skipped, len({e.number for e in written.errors}))
    counts = [before + now for before, now in zip(handle.place["counts"], more, strict=True)]
    return {"errors": errors.tell(), "counts": counts}


def _tried(handle: jobs.Handle, entry: Import, rows: list[Row]) -> Written:
    written = Written()
    try:
        with transaction.atomic():
            written = _written(handle, entry, rows)
            raise _Undo
    except _Undo:
        return written


def _written(handle: jobs.Handle, entry: Import, rows: list[Row]) -> Written:
    """All at once; when the database refuses that, one by one, to find which row it is."""
    if not rows:
        return Written()
    try:
        with transaction.atomic():
            return entry.write(rows, handle.actor, handle.params["on_conflict"])
    except (IntegrityError, DjangoValidationError, ValidationError, Invalid):
        written = Written()
        for row in rows:
            written.add(_single(handle, entry, row))
        return written


def _single(handle: jobs.Handle, entry: Import, row: Row) -> Written:
    try:
        with transaction.atomic():
            return entry.write([row], handle.actor, handle.params["on_conflict"])
    except IntegrityError:
        return Written(errors=[RowError(row.number, "", "conflict", "The database refused this row.")])
    except (DjangoValidationError, ValidationError, Invalid) as error:
        return Written(errors=told(row.number, error))


def _checked(
    entry: Import, checker: Any, slice_: list[tuple[int, Any]], *, csv_: bool
) -> tuple[list[Row], list[RowError]]:
    rows, refused = [], []
    for number, raw in slice_:
        try:
            if isinstance(raw, str):
                raise ValidationError("This line cannot be read.", code=raw)
            rows.append(Row(number, checker.run_validation(entry.cells(raw) if csv_ else raw)))
        except (ValidationError, DjangoValidationError) as error:
            refused += told(number, error)
    return rows, refused


def told(number: int, error: Exception) -> list[RowError]:
    """What `error` (a ValidationError or a Problem) says about the row with this number."""
    found = as_problem(error).errors
    return [RowError(number, one.pointer, one.code, one.detail) for one in found]


# --- reading files ------------------------------------------------------------------------------------------


def _parsed(handle: jobs.Handle) -> Iterator[Any]:
    """Each row as an object, or the code of what is wrong with it as a text."""
    if handle.params["format"] == "csv":
        return _csv_rows(handle.input)
    return _json_rows(handle.input)


def _count(handle: jobs.Handle) -> int:
    """How many rows there are. JobFailed for a file that cannot be read, or is too long."""
    try:
        total = sum(1 for _ in _parsed(handle))
    except (UnicodeDecodeError, csv.Error):
        raise jobs.JobFailed("unreadable") from None
    if total > MAX_ROWS:
        raise jobs.JobFailed("too_many_rows")
    return total


def _csv_rows(path: Path) -> Iterator[dict[str, str] | str]:
    with path.open(encoding="utf-8-sig", newline="") as source:
        reader = _csv_reader(source)
        header: list[str] = next(reader, [])
        for cells in reader:
            if not cells:
                continue
            if len(cells) > len(header):
                yield "too_many_cells"
            elif any("\x00" in cell for cell in cells):
                yield "bad_text"
            else:
                yield {name: _fused(cell) for name, cell in zip(header, cells, strict=False) if cell != ""}


def _csv_reader(source: Any) -> Any:
    first = source.readline()
    source.seek(0)
    delimiter = ";" if ";" in first and "," not in first else ","
    return csv.reader(source, delimiter=delimiter, strict=True)


def _fused(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _json_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open("rb") as source:
        while line := source.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise jobs.JobFailed("line_too_long")
            if line.strip():
                yield _json_row(line)


def _json_row(line: bytes) -> dict[str, Any] | str:
    try:
        found = json.loads(line.decode("utf-8-sig"), parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return "malformed"
    if not isinstance(found, dict):
        return "not_an_object"
    return "bad_text" if b"\\u0000" in line else found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
