"""`appion export --csv` and `--parquet`: the numbers of exposures, a row each, with the columns of the series."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.plain import makePlain
from appion.base.failures import ConfigurationFailure
from appion.base.records.series import COLUMNS, IMAGE
from appion.base.retrieve.series import calcColumns
from appion.base.store.files import writeAtomically
from appion.export.session import Exposure
from appion.export.where import TEXTS

#: Columns that count or name something by a whole number.
WHOLE = frozenset({IMAGE, "target", "grid", "frames"})

#: What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def exportCsv(exposures: Sequence[Exposure], path: Path) -> None:
    """Write a table as CSV, UTF-8, the names of columns in the first line; what each is goes into a file beside it."""
    columns = calcUsed(exposures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([formatCell(value) for value in values] for values in columns.values()), strict=True))
    writeAtomically(path, text.getvalue())
    units = io.StringIO()
    writer = csv.writer(units, lineterminator="\n")
    writer.writerow(("column", "what it is", "unit"))
    writer.writerows((name, COLUMNS[name].words, COLUMNS[name].unit) for name in columns)
    writeAtomically(path.with_name(f"{path.stem}.columns.csv"), units.getvalue())


def formatCell(value: Any) -> Any:
    """Return a value as a cell: a text with nothing in it that steers a terminal, and that no spreadsheet computes."""
    if not isinstance(value, str):
        return value
    text = makePlain(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def exportParquet(exposures: Sequence[Exposure], path: Path) -> None:
    """Write a table as Parquet; words and unit of each column are in its metadata.

    Raises:
        ConfigurationFailure: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        remedy = "pip install pyarrow, or take --csv"
        raise ConfigurationFailure("--parquet needs the package pyarrow", remedy) from error
    columns = calcUsed(exposures)
    fields = []
    for name in columns:
        kind = pyarrow.string() if name in TEXTS else pyarrow.int64() if name in WHOLE else pyarrow.float64()
        about = {"words": COLUMNS[name].words, "unit": COLUMNS[name].unit}
        fields.append(pyarrow.field(name, kind, metadata=about))
    arrays = [pyarrow.array(values, field.type) for values, field in zip(columns.values(), fields, strict=True)]
    table = pyarrow.table(arrays, schema=pyarrow.schema(fields))
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    writeAtomically(path, sink.getvalue().to_pybytes())


def calcUsed(exposures: Sequence[Exposure]) -> dict[str, list[Any]]:
    """Return the columns of the series that any exposure has a value in."""
    columns = calcColumns([dict(one.line) for one in exposures])
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}
