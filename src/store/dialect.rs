//! Where the two kinds of database write SQL differently. Everything else is written once: identifiers stand in
//! backticks, which SQLite takes too, and placeholders are `?`.

use super::session::Value;
use crate::model::MeasureKind;

/// The SQL that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    MariaDb,
    /// MySQL from 8.0.17 on, and what is made of it (Aurora, Percona).
    MySql,
    Sqlite,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// SHA-256.
    Hash,
    /// Text of at most so many characters, compared byte by byte.
    Name {
        chars_max: usize,
    },
    /// Text of any length that is never searched.
    Body,
    Date,
    /// UTC with microseconds.
    Timestamp,
    /// An id or a number of things.
    Integer,
    /// `DECIMAL(20,6)`, or integer micros.
    Money,
    /// A share between 0 and 1, exactly.
    Rate,
    /// A quotient, computed when it is read.
    Ratio,
}

/// How an upsert treats a column of a row that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    Add,
    Replace,
    /// The new value, or, where it is NULL, the old one.
    ReplaceUnlessNull,
    /// The smaller of the two.
    Least,
    /// The greater of the two.
    Greatest,
}

/// A quotient of two columns.
pub(super) struct Quotient<'a> {
    pub numerator: (&'a str, MeasureKind),
    pub denominator: (&'a str, MeasureKind),
    pub times: u32,
}

impl Dialect {
    pub(super) fn is_sqlite(self) -> bool {
        self == Dialect::Sqlite
    }

    /// Keeps case, accents and trailing spaces apart, so that two keys are one row only when their bytes are equal.
    /// The older `utf8mb4_bin` pads: it takes `m1` and `m1 ` for the same key.
    pub(super) fn collation(self) -> &'static str {
        match self {
            Dialect::MariaDb => "utf8mb4_nopad_bin",
            Dialect::MySql => "utf8mb4_0900_bin",
            Dialect::Sqlite => "BINARY",
        }
    }

    /// A column's type as DDL says it and as the catalogue says it back (in lower case).
    pub(super) fn type_name(self, kind: Kind) -> String {
        let (mysql, sqlite) = match kind {
            Kind::Hash => ("binary(32)", "blob"),
            Kind::Name { chars_max } if !self.is_sqlite() => return format!("varchar({chars_max})"),
            Kind::Name { .. } => ("", "text"),
            Kind::Body => ("mediumtext", "text"),
            Kind::Date => ("date", "text"),
            Kind::Timestamp => ("datetime(6)", "text"),
            Kind::Integer => ("bigint", "integer"),
            Kind::Money => ("decimal(20,6)", "integer"),
            Kind::Rate => ("decimal(20,18)", "text"),
            Kind::Ratio => ("decimal(38,6)", "real"),
        };
        if self.is_sqlite() { sqlite } else { mysql }.to_owned()
    }

    /// What follows the parenthesis of CREATE TABLE. SQLite's STRICT refuses the floating-point number that an
    /// overflowing integer sum becomes: without it, a sum would quietly stop being exact.
    pub(super) fn table_options(self) -> String {
        match self {
            Dialect::Sqlite => " STRICT, WITHOUT ROWID".into(),
            _ => format!(" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={}", self.collation()),
        }
    }

    /// The end of an `INSERT ... VALUES` that merges rows which are there already.
    ///
    /// `VALUES(c)` is deprecated on MySQL, yet the only form that MariaDB understands too.
    pub(super) fn on_duplicate(self, key: &[&str], columns: &[(&str, Merge)]) -> String {
        let merged = columns.iter().map(|(column, merge)| {
            let new = if self.is_sqlite() { format!("excluded.`{column}`") } else { format!("VALUES(`{column}`)") };
            let (least, greatest) = if self.is_sqlite() { ("min", "max") } else { ("LEAST", "GREATEST") };
            match merge {
                Merge::Add => format!("`{column}` = `{column}` + {new}"),
                Merge::Replace => format!("`{column}` = {new}"),
                Merge::ReplaceUnlessNull => format!("`{column}` = COALESCE({new}, `{column}`)"),
                Merge::Least => format!("`{column}` = {least}(`{column}`, {new})"),
                Merge::Greatest => format!("`{column}` = {greatest}(`{column}`, {new})"),
            }
        });
        let merged = merged.collect::<Vec<_>>().join(", ");
        if self.is_sqlite() {
            format!(" ON CONFLICT ({}) DO UPDATE SET {merged}", quoted(key))
        } else {
            format!(" ON DUPLICATE KEY UPDATE {merged}")
        }
    }

    /// The end of a SELECT that waits for uncommitted changes of its rows, and keeps others from changing them.
    /// SQLite's writers are alone anyway. `FOR SHARE` would say the same on MySQL, but not on MariaDB.
    pub(super) fn lock_shared(self) -> &'static str {
        if self.is_sqlite() { "" } else { " LOCK IN SHARE MODE" }
    }

    pub(super) fn lock_exclusive(self) -> &'static str {
        if self.is_sqlite() { "" } else { " FOR UPDATE" }
    }

    /// A sum of a column that does not overflow, to be read with [`super::session::Row::wide`]. MySQL sums integers
    /// as decimals; SQLite would stop at 64 bits, so that it sums the two halves of each number.
    pub(super) fn wide_sum(self, column: &str) -> String {
        match self {
            Dialect::Sqlite => format!("SUM(`{column}` >> 32) || ' ' || SUM(`{column}` & 4294967295)"),
            _ => format!("SUM(`{column}`)"),
        }
    }

    /// What to order by, first to last, for the order of such a sum.
    pub(super) fn wide_order(self, column: &str) -> Vec<String> {
        match self {
            Dialect::Sqlite => {
                let low = format!("SUM(`{column}` & 4294967295)");
                vec![format!("SUM(`{column}` >> 32) + ({low} >> 32)"), format!("({low} & 4294967295)")]
            }
            _ => vec![format!("SUM(`{column}`)")],
        }
    }

    /// Decimals of the text that `wide_sum` gives for a column of this kind.
    pub(super) fn sum_decimals(self, kind: MeasureKind) -> u32 {
        match (self, kind) {
            (Dialect::Sqlite, _) | (_, MeasureKind::Count) => 0,
            (_, MeasureKind::Money) => 6,
        }
    }

    pub(super) fn measure_kind(kind: MeasureKind) -> Kind {
        match kind {
            MeasureKind::Count => Kind::Integer,
            MeasureKind::Money => Kind::Money,
        }
    }

    pub(super) fn measure(kind: MeasureKind, sum: i64) -> Value {
        match kind {
            MeasureKind::Count => Value::Int(sum),
            MeasureKind::Money => Value::Micros(sum),
        }
    }

    /// The expression of a ratio's generated column; NULL when the denominator is 0.
    ///
    /// MySQL gives a quotient only four more decimals than its dividend has: the dividend is widened to 18 first,
    /// so that the sixth decimal is right. SQLite's columns of micros are brought to units by `micros`.
    pub(super) fn ratio(self, quotient: &Quotient<'_>) -> String {
        let Quotient { numerator: (numerator, numerator_kind), denominator: (denominator, denominator_kind), times } =
            quotient;
        if !self.is_sqlite() {
            return format!("CAST(`{numerator}` AS DECIMAL(38,18)) * {times} / NULLIF(`{denominator}`, 0)");
        }
        let units = |kind: &MeasureKind| if *kind == MeasureKind::Money { " / 1000000.0" } else { "" };
        let (above, below) = (units(numerator_kind), units(denominator_kind));
        format!("CAST(`{numerator}` AS REAL){above} * {times} / NULLIF(CAST(`{denominator}` AS REAL){below}, 0)")
    }
}

/// Names as a list of quoted identifiers.
pub(super) fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upsert_is_written_as_each_database_understands_it() {
        let columns = [("clicks", Merge::Add), ("last", Merge::Greatest)];
        assert_eq!(
            Dialect::MariaDb.on_duplicate(&["day"], &columns),
            " ON DUPLICATE KEY UPDATE `clicks` = `clicks` + VALUES(`clicks`), `last` = GREATEST(`last`, VALUES(`last`))"
        );
        assert_eq!(
            Dialect::Sqlite.on_duplicate(&["day"], &columns),
            " ON CONFLICT (`day`) DO UPDATE SET `clicks` = `clicks` + excluded.`clicks`, `last` = max(`last`, excluded.`last`)"
        );
    }
}
