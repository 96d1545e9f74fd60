//! The tables, as data: what `migrate` creates, what the database is compared with, and what the statements name.

use super::dialect::{Dialect, Kind, Quotient, quoted};
use crate::model::{DimensionKind, MeasureKind};
use crate::report::{Plan, Ratio, Report};

/// Raised whenever the fixed tables change in a way that an older program could not live with.
///
/// 2: `notice`, and more columns of `failed_object`: who decided and why, its copy, its notice.
pub const SCHEMA_VERSION: i64 = 2;

/// Characters of a bucket's name, or of a local folder's path, and of a key. S3 keys have at most 1,024 bytes.
pub(super) const NAME_CHARS_MAX: usize = 1024;
/// Of `failed_object.generation`: an ETag has about 70. It is part of a primary key, which InnoDB bounds by bytes.
pub(super) const GENERATION_CHARS_MAX: usize = 255;
pub(super) const REASON_CHARS_MAX: usize = 2000;
/// Of who settled a listing.
pub(super) const WHO_CHARS_MAX: usize = 200;
/// Of what they had to say.
pub(super) const NOTE_CHARS_MAX: usize = 1000;
/// Of an address of S3: scheme, bucket and key.
pub(super) const ADDRESS_CHARS_MAX: usize = 1200;

pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    /// Names of one column each.
    pub indexes: Vec<&'static str>,
    pub role: Role,
}

/// How much of a table is ours to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Compared and extended.
    Books,
    /// Created when absent, and the platform's from then on.
    Metadata,
}

pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    pub rule: Rule,
}

pub(super) enum Rule {
    Required,
    /// May be added to a table with rows, which then lack it.
    Nullable,
    /// NOT NULL DEFAULT 0: may be added to a table with rows.
    Sum,
    /// Computed on read from this expression.
    Computed(String),
}

impl Rule {
    /// Whether the column can be added to a table that has rows, without inventing data.
    pub fn extends(&self) -> bool {
        match self {
            Rule::Nullable | Rule::Sum | Rule::Computed(_) => true,
            Rule::Required => false,
        }
    }
}

fn column(name: &str, kind: Kind, rule: Rule) -> Column {
    Column { name: name.into(), kind, rule }
}

fn required(name: &str, kind: Kind) -> Column {
    column(name, kind, Rule::Required)
}

fn nullable(name: &str, kind: Kind) -> Column {
    column(name, kind, Rule::Nullable)
}

fn sum(name: &str, kind: Kind) -> Column {
    column(name, kind, Rule::Sum)
}

const NAME: Kind = Kind::Name { chars_max: NAME_CHARS_MAX };
const WORD: Kind = Kind::Name { chars_max: 64 };

/// Every table of a plan; the default metadata tables when the metadata is read from them.
pub(super) fn tables(plan: &Plan, dialect: Dialect, default_metadata: bool) -> Vec<Table> {
    let mut tables =
        vec![schema_version(), processed_object(), processed_object_day(plan), failed_object(), report_day(), notice()];
    tables.extend(plan.reports.iter().map(|report| report_table(plan, report, dialect)));
    if default_metadata {
        tables.extend([media(), inventory()]);
    }
    tables
}

fn schema_version() -> Table {
    table("schema_version", &["id"], vec![required("id", Kind::Integer), required("version", Kind::Integer)])
}

/// The ledger. It is kept for ever: its primary key is what makes a redelivery harmless.
fn processed_object() -> Table {
    let columns = vec![
        required("object_id", Kind::Hash),
        required("bucket", NAME),
        required("object_key", NAME),
        nullable("version_id", NAME),
        nullable("etag", NAME),
        required("bytes", Kind::Integer),
        required("content_hash", Kind::Hash),
        required("rows", Kind::Integer),
        required("rejected_rows", Kind::Integer),
        required("batch_id", WORD),
        required("committed_at", Kind::Timestamp),
    ];
    table("processed_object", &["object_id"], columns)
}

/// Control totals. The index serves `audit`, which reads them by date.
fn processed_object_day(plan: &Plan) -> Table {
    let mut columns =
        vec![required("object_id", Kind::Hash), required("report_date", Kind::Date), sum("rows", Kind::Integer)];
    columns.extend(plan.measures.iter().map(|measure| sum(&measure.name, Dialect::measure_kind(measure.kind))));
    let table = table("processed_object_day", &["object_id", "report_date"], columns);
    Table { indexes: vec!["report_date"], ..table }
}

fn failed_object() -> Table {
    let columns = vec![
        required("object_id", Kind::Hash),
        required("generation", Kind::Name { chars_max: GENERATION_CHARS_MAX }),
        required("bucket", NAME),
        required("object_key", NAME),
        nullable("version_id", NAME),
        nullable("etag", NAME),
        required("kind", WORD),
        required("reason", Kind::Name { chars_max: REASON_CHARS_MAX }),
        required("attempts", Kind::Integer),
        required("first_seen", Kind::Timestamp),
        required("last_seen", Kind::Timestamp),
        required("message_body", Kind::Body),
        required("state", WORD),
        nullable("resolved_at", Kind::Timestamp),
        // Since version 2.
        nullable("resolved_by", Kind::Name { chars_max: WHO_CHARS_MAX }),
        nullable("note", Kind::Name { chars_max: NOTE_CHARS_MAX }),
        nullable("copied_to", Kind::Name { chars_max: ADDRESS_CHARS_MAX }),
        nullable("copy_problem", Kind::Name { chars_max: NOTE_CHARS_MAX }),
        nullable("notice_id", WORD),
    ];
    table("failed_object", &["object_id", "generation"], columns)
}

fn report_day() -> Table {
    let columns = vec![
        required("report_date", Kind::Date),
        required("first_commit", Kind::Timestamp),
        required("last_commit", Kind::Timestamp),
        sum("objects", Kind::Integer),
        sum("rows", Kind::Integer),
    ];
    table("report_day", &["report_date"], columns)
}

/// The outbox: what is to be told to people. See `notices`.
fn notice() -> Table {
    let columns = vec![
        required("notice_id", WORD),
        required("kind", WORD),
        required("subject", WORD),
        required("revision", Kind::Integer),
        required("objects", Kind::Integer),
        nullable("body", Kind::Body),
        required("state", WORD),
        required("created_at", Kind::Timestamp),
        required("attempts", Kind::Integer),
        required("next_attempt", Kind::Timestamp),
        nullable("webhook_at", Kind::Timestamp),
        nullable("topic_at", Kind::Timestamp),
        nullable("delivered_at", Kind::Timestamp),
        nullable("last_error", Kind::Name { chars_max: REASON_CHARS_MAX }),
    ];
    Table { indexes: vec!["state"], ..table("notice", &["notice_id"], columns) }
}

fn media() -> Table {
    let columns = vec![
        required("media_key", WORD),
        nullable("organization_id", Kind::Integer),
        nullable("agency_rate", Kind::Rate),
        nullable("media_rate", Kind::Rate),
    ];
    Table { role: Role::Metadata, ..table("media", &["media_key"], columns) }
}

fn inventory() -> Table {
    let text = Kind::Name { chars_max: 32 };
    let columns = vec![
        required("inventory_id", Kind::Integer),
        nullable("ad_type", text),
        nullable("device", text),
        nullable("app_type", text),
    ];
    Table { role: Role::Metadata, ..table("inventory", &["inventory_id"], columns) }
}

fn table(name: &str, primary_key: &[&str], columns: Vec<Column>) -> Table {
    let primary_key = primary_key.iter().map(|&name| name.into()).collect();
    Table { name: name.into(), columns, primary_key, indexes: Vec::new(), role: Role::Books }
}

fn report_table(plan: &Plan, report: &Report, dialect: Dialect) -> Table {
    let dimensions = report.dimensions.iter().map(|dimension| {
        let kind = match dimension.kind() {
            DimensionKind::Date => Kind::Date,
            DimensionKind::Id => Kind::Integer,
            DimensionKind::Text { chars_max } => Kind::Name { chars_max },
        };
        required(report.column(dimension.name()), kind)
    });
    let measures = report.measures.iter().map(|&at| {
        let measure = &plan.measures[at];
        sum(report.column(&measure.name), Dialect::measure_kind(measure.kind))
    });
    let ratios = report.ratios.iter().map(|ratio| {
        let expression = dialect.ratio(&quotient(plan, report, ratio));
        column(report.column(&ratio.name), Kind::Ratio, Rule::Computed(expression))
    });
    let primary_key: Vec<&str> = report.dimensions.iter().map(|d| report.column(d.name())).collect();
    table(&report.table, &primary_key, dimensions.chain(measures).chain(ratios).collect())
}

fn quotient<'a>(plan: &'a Plan, report: &'a Report, ratio: &Ratio) -> Quotient<'a> {
    let operand = |at: usize| -> (&'a str, MeasureKind) {
        let measure = &plan.measures[at];
        (report.column(&measure.name), measure.kind)
    };
    Quotient { numerator: operand(ratio.numerator), denominator: operand(ratio.denominator), times: ratio.times }
}

/// All DDL of a plan, for a person to read or to run by hand: the tables, the default metadata tables among them,
/// and the row that says which schema this is.
pub fn schema_sql(plan: &Plan, dialect: Dialect) -> Vec<String> {
    let mut statements: Vec<String> =
        tables(plan, dialect, true).iter().flat_map(|table| create(table, dialect)).collect();
    statements.push(record_version());
    statements
}

pub(super) fn record_version() -> String {
    format!("INSERT INTO schema_version (id, version) VALUES (1, {SCHEMA_VERSION})")
}

/// The statements that create one table.
pub(super) fn create(table: &Table, dialect: Dialect) -> Vec<String> {
    let mut lines: Vec<String> = table.columns.iter().map(|column| definition(column, dialect)).collect();
    lines.push(format!("PRIMARY KEY ({})", quoted(&table.primary_key)));
    let index = |column: &&str| format!("{}_{column}", table.name);
    if !dialect.is_sqlite() {
        lines.extend(table.indexes.iter().map(|column| format!("KEY `{}` (`{column}`)", index(column))));
    }
    let options = dialect.table_options();
    let mut statements = vec![format!("CREATE TABLE `{}` (\n  {}\n){options}", table.name, lines.join(",\n  "))];
    if dialect.is_sqlite() {
        let create = |column| format!("CREATE INDEX `{}` ON `{}` (`{column}`)", index(column), table.name);
        statements.extend(table.indexes.iter().map(create));
    }
    statements
}

/// The statement that adds one column to a table with rows.
pub(super) fn extend(table: &Table, column: &Column, dialect: Dialect) -> String {
    format!("ALTER TABLE `{}` ADD COLUMN {}", table.name, definition(column, dialect))
}

fn definition(column: &Column, dialect: Dialect) -> String {
    let type_name = dialect.type_name(column.kind).to_uppercase();
    let rule = match &column.rule {
        Rule::Required => " NOT NULL".into(),
        Rule::Nullable => String::new(),
        Rule::Sum => " NOT NULL DEFAULT 0".into(),
        Rule::Computed(expression) => format!(" GENERATED ALWAYS AS ({expression}) VIRTUAL"),
    };
    format!("`{}` {type_name}{rule}", column.name)
}
