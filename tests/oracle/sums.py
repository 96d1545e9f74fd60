"""Counted rows -> report tables and control totals, by plain integer addition."""

from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

import money
import schema

_ZONE = ZoneInfo(schema.TIMEZONE)


def report_date(second):
    return datetime.fromtimestamp(second, _ZONE).date().isoformat()


def enrich(values, metadata):
    """The row's values with every dimension and derived measure that a report may ask for."""
    organization_id, agency_rate, media_rate = metadata.media(values["media_key"])
    ad_type, device, app_type = metadata.inventory(values["inventory_id"])
    agency, media = money.split(values["revenue"], agency_rate, media_rate)
    return dict(
        values,
        report_date=report_date(values["second"]),
        organization_id=organization_id,
        ad_type=ad_type,
        device=device,
        app_type=app_type,
        agency_revenue=agency,
        media_revenue=media,
    )


class Sums:
    """All that is added up: one instance for one object, another for all of them."""

    def __init__(self, reports=schema.REPORTS):
        self._declared = reports
        self._cells = {table: defaultdict(lambda: defaultdict(int)) for table in reports}
        self._days = defaultdict(lambda: defaultdict(int))

    def add_row(self, row):
        for table, (dimensions, measures) in self._declared.items():
            cell = self._cells[table][tuple(row[name] for name in dimensions)]
            for name in measures:
                cell[name] += row[name]
        day = self._days[row["report_date"]]
        day["rows"] += 1
        for name in schema.SUMMED:
            day[name] += row[name]

    def add(self, other):
        for table, cells in other._cells.items():
            for key, cell in cells.items():
                for name, value in cell.items():
                    self._cells[table][key][name] += value
        for date, day in other._days.items():
            for name, value in day.items():
                self._days[date][name] += value

    def reports(self):
        """table -> rows in primary-key order, text compared by its UTF-8 bytes."""
        return {table: self._report(table) for table in self._declared}

    def _report(self, table):
        dimensions, measures = self._declared[table]
        rows = []
        for key in sorted(self._cells[table], key=_binary):
            row = dict(zip(dimensions, key))
            row.update((name, _printed(name, self._cells[table][key][name])) for name in measures)
            rows.append(row)
        return rows

    def overflow(self):
        """Whether any cell of a report, or a control total, exceeds the 64 bits that it must fit."""
        tables = [*self._cells.values(), self._days]
        cells = (cell for table in tables for cell in table.values())
        return any(value > schema.I64_MAX for cell in cells for value in cell.values())

    def control_totals(self):
        """date -> rows and every measure"""
        return {
            date: {name: _printed(name, self._days[date][name]) for name in ("rows",) + schema.SUMMED}
            for date in sorted(self._days)
        }


def _binary(key):
    return [part.encode("utf-8") if isinstance(part, str) else part for part in key]


def _printed(name, value):
    return money.text(value) if name in schema.MONEY_MEASURES else value
