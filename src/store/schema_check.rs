//! The tables as they are, compared with the tables as they must be.

use super::dialect::{Dialect, Kind};
use super::schema::{Column, Role, Rule, Table, create, extend};
use super::session::{Session, SqlResult, Value};

/// What a database needs to fit a plan.
#[derive(Default)]
pub(super) struct Difference {
    /// What creates or extends, in order.
    pub statements: Vec<String>,
    /// What no statement of ours may change: one sentence each.
    pub problems: Vec<String>,
}

impl Difference {
    pub async fn of(session: &mut Session, tables: &[Table]) -> SqlResult<Difference> {
        let mut difference = Difference::default();
        for table in tables {
            match Actual::read(session, &table.name).await? {
                None => difference.statements.extend(create(table, session.dialect())),
                Some(_) if table.role == Role::Metadata => {}
                Some(actual) => difference.compare(table, &actual, session.dialect()),
            }
        }
        Ok(difference)
    }

    fn compare(&mut self, table: &Table, actual: &Actual, dialect: Dialect) {
        if let Some(problem) = &actual.problem {
            self.problems.push(format!("table {} {problem}", table.name));
            return;
        }
        for column in &table.columns {
            match actual.columns.iter().find(|found| found.name.eq_ignore_ascii_case(&column.name)) {
                Some(found) => self.problems.extend(column_problem(table, column, found, dialect)),
                None if column.rule.extends() => self.statements.push(extend(table, column, dialect)),
                None => self.problems.push(format!(
                    "table {} has no column {} ({}), which can't be added to rows that exist: \
                     rename the table away and run `xc2-analyzer migrate`, or name another table in the configuration",
                    table.name,
                    column.name,
                    dialect.type_name(column.kind)
                )),
            }
        }
        let same_key = actual.primary_key.len() == table.primary_key.len()
            && actual.primary_key.iter().zip(&table.primary_key).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if !same_key {
            self.problems.push(format!(
                "table {} has the primary key ({}) instead of ({}): correct the report's dimensions, or the table's key",
                table.name,
                actual.primary_key.join(", "),
                table.primary_key.join(", ")
            ));
        }
        if let Some(index) = &actual.other_unique_index {
            self.problems.push(format!(
                "table {} has another unique index, {index}: an upsert could add to the wrong row; drop the index",
                table.name
            ));
        }
        self.problems.extend(actual.columns.iter().filter_map(|found| foreign_column_problem(table, found)));
    }
}

fn column_problem(table: &Table, column: &Column, found: &ActualColumn, dialect: Dialect) -> Option<String> {
    let at = format!("table {}, column {}", table.name, column.name);
    let computed = matches!(column.rule, Rule::Computed(_));
    if found.generated != computed {
        let (is, wanted) = if computed { ("stored", "generated") } else { ("generated", "stored") };
        return Some(format!("{at} is a {is} column instead of a {wanted} one: drop it, `migrate` creates it"));
    }
    if computed {
        return None;
    }
    let wanted = dialect.type_name(column.kind);
    if !fits(column.kind, &wanted, &found.type_name) {
        return Some(format!(
            "{at} is {} instead of {wanted}: change its type, or map another column",
            found.type_name
        ));
    }
    if found.nullable && !matches!(column.rule, Rule::Nullable) {
        return Some(format!("{at} may be NULL, and a sum with NULL is NULL: make it NOT NULL DEFAULT 0"));
    }
    let is_text = matches!(column.kind, Kind::Name { .. });
    match &found.collation {
        Some(collation) if is_text && collation != dialect.collation() => Some(format!(
            "{at} has the collation {collation}, which takes different keys for one: change it to {}",
            dialect.collation()
        )),
        _ => None,
    }
}

/// A column that we do not know must not stand in the way of an INSERT.
fn foreign_column_problem(table: &Table, found: &ActualColumn) -> Option<String> {
    let ours = table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&found.name));
    let fills_itself = found.nullable || found.has_default || found.generated;
    (!ours && !fills_itself).then(|| {
        format!(
            "table {}, column {} is not ours, NOT NULL and without a default: no row could be added; give it a default",
            table.name, found.name
        )
    })
}

/// Whether a column of type `found` holds what one of type `wanted` does, in the same way.
fn fits(kind: Kind, wanted: &str, found: &str) -> bool {
    let number = |text: &str| text.trim_end_matches(')').parse::<usize>().ok();
    match kind {
        // A wider column of the platform's own is welcome.
        Kind::Name { chars_max } if found.starts_with("varchar(") => {
            number(&found["varchar(".len()..]).is_some_and(|chars| chars >= chars_max)
        }
        Kind::Money if found.starts_with("decimal(") => {
            let Some((precision, scale)) = found["decimal(".len()..].split_once(',') else { return false };
            number(scale) == Some(6) && number(precision).is_some_and(|precision| precision >= 20)
        }
        Kind::Body => found == wanted || found == "longtext",
        _ => found == wanted,
    }
}

struct Actual {
    columns: Vec<ActualColumn>,
    primary_key: Vec<String>,
    other_unique_index: Option<String>,
    /// What is wrong with the table as a whole, after its name.
    problem: Option<String>,
}

struct ActualColumn {
    name: String,
    /// In lower case, without the display width that MariaDB gives integers.
    type_name: String,
    nullable: bool,
    generated: bool,
    has_default: bool,
    collation: Option<String>,
}

const MYSQL_TABLE: &str = "-- table engine
SELECT COALESCE(engine, table_type) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = ?";

const MYSQL_COLUMNS: &str = "-- table columns
SELECT column_name, column_type, is_nullable, extra, column_default, collation_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position";

const MYSQL_UNIQUE: &str = "-- table unique indexes
SELECT index_name, column_name FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 ORDER BY index_name, seq_in_index";

const SQLITE_TABLE: &str = "-- table strictness
SELECT strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = ?";

const SQLITE_COLUMNS: &str = "-- table columns
SELECT name, type, `notnull`, hidden, dflt_value, pk FROM pragma_table_xinfo(?) ORDER BY cid";

const SQLITE_UNIQUE: &str = "-- table unique indexes
SELECT name FROM pragma_index_list(?) WHERE `unique` = 1 AND origin <> 'pk'";

impl Actual {
    async fn read(session: &mut Session, table: &str) -> SqlResult<Option<Actual>> {
        match session.dialect() {
            Dialect::Sqlite => Self::read_sqlite(session, table).await,
            Dialect::MariaDb | Dialect::MySql => Self::read_mysql(session, table).await,
        }
    }

    async fn read_mysql(session: &mut Session, table: &str) -> SqlResult<Option<Actual>> {
        let name = || vec![Value::text(table)];
        let Some(engine) = session.query(MYSQL_TABLE, name()).await?.pop() else { return Ok(None) };
        let engine = engine.text(0)?;
        let mut columns = Vec::new();
        for row in session.query(MYSQL_COLUMNS, name()).await? {
            let type_name = row.text(1)?.to_lowercase();
            columns.push(ActualColumn {
                name: row.text(0)?.to_string(),
                type_name: without_display_width(&type_name),
                nullable: &*row.text(2)? == "YES",
                generated: row.text(3)?.to_uppercase().contains("GENERATED")
                    && !row.text(3)?.to_uppercase().contains("DEFAULT_GENERATED"),
                has_default: row.text_or_null(4)?.is_some() || row.text(3)?.contains("auto_increment"),
                collation: row.text_or_null(5)?.map(|collation| collation.to_string()),
            });
        }
        let (mut primary_key, mut other_unique_index) = (Vec::new(), None);
        for row in session.query(MYSQL_UNIQUE, name()).await? {
            match &*row.text(0)? {
                "PRIMARY" => primary_key.push(row.text(1)?.to_string()),
                other => other_unique_index = Some(other.to_owned()),
            }
        }
        let problem = (!engine.eq_ignore_ascii_case("InnoDB"))
            .then(|| format!("is {engine} instead of an InnoDB table: only InnoDB has the transactions we need"));
        Ok(Some(Actual { columns, primary_key, other_unique_index, problem }))
    }

    async fn read_sqlite(session: &mut Session, table: &str) -> SqlResult<Option<Actual>> {
        let name = || vec![Value::text(table)];
        let Some(strict) = session.query(SQLITE_TABLE, name()).await?.pop() else { return Ok(None) };
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for row in session.query(SQLITE_COLUMNS, name()).await? {
            let (name, place) = (row.text(0)?.to_string(), row.int(5)?);
            if place > 0 {
                key.push((place, name.clone()));
            }
            columns.push(ActualColumn {
                name,
                type_name: row.text(1)?.to_lowercase(),
                nullable: row.int(2)? == 0 && place == 0,
                generated: row.int(3)? >= 2,
                has_default: row.text_or_null(4)?.is_some(),
                collation: None,
            });
        }
        key.sort();
        let unique = session.query(SQLITE_UNIQUE, name()).await?;
        let problem = (strict.int(0)? == 0)
            .then(|| "is not STRICT: an overflowing sum would become a floating-point number".to_owned());
        Ok(Some(Actual {
            columns,
            primary_key: key.into_iter().map(|(_, name)| name).collect(),
            other_unique_index: unique.first().map(|row| row.text(0)).transpose()?.map(|name| name.to_string()),
            problem,
        }))
    }
}

/// `bigint(20)` -> `bigint`.
fn without_display_width(type_name: &str) -> String {
    match type_name.split_once('(') {
        Some((base, rest)) if base.ends_with("int") => {
            format!("{base}{}", rest.split_once(')').map_or("", |(_, rest)| rest))
        }
        _ => type_name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bigint(20)", "bigint")]
    #[case("bigint(20) unsigned", "bigint unsigned")]
    #[case("decimal(20,6)", "decimal(20,6)")]
    #[case("varchar(64)", "varchar(64)")]
    fn display_width_of_integers_is_no_part_of_the_type(#[case] found: &str, #[case] name: &str) {
        assert_eq!(without_display_width(found), name);
    }

    #[rstest]
    #[case(Kind::Integer, "bigint", true)]
    #[case(Kind::Integer, "int", false)]
    #[case(Kind::Integer, "bigint unsigned", false)]
    #[case(Kind::Money, "decimal(20,6)", true)]
    #[case(Kind::Money, "decimal(30,6)", true)]
    #[case(Kind::Money, "decimal(20,2)", false)]
    #[case(Kind::Money, "double", false)]
    #[case(Kind::Name { chars_max: 64 }, "varchar(64)", true)]
    #[case(Kind::Name { chars_max: 64 }, "varchar(255)", true)]
    #[case(Kind::Name { chars_max: 64 }, "varchar(32)", false)]
    #[case(Kind::Name { chars_max: 64 }, "text", false)]
    fn column_of_the_platforms_own_fits_when_it_holds_the_same(
        #[case] kind: Kind,
        #[case] found: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(fits(kind, &Dialect::MySql.type_name(kind), found), expected);
    }
}
