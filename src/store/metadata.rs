//! The platform's metadata: two configured SELECTs, read in one consistent view.

use super::session::{Class, Row, Session, SqlError, SqlResult, Value};
use super::settings::StoreSettings;
use super::upsert::Insert;
use crate::model::{Dimension, DimensionKind, InventoryRow, MediaRow, Metadata, Rate};

/// Rows of one query: far beyond any platform, and what memory holds.
const ROWS_MAX: usize = 10_000_000;
const QUERY_COLUMNS: usize = 4;

/// Reads both queries. The session's transaction is a read-only snapshot.
pub(super) async fn read(session: &mut Session, settings: &StoreSettings) -> SqlResult<Metadata> {
    let media = Query { name: "media", columns: "media key, organization id, agency rate, media rate" };
    let inventory = Query { name: "inventory", columns: "inventory id, ad type, device, app type" };
    let media = media.rows(session, &settings.media_query, media_row).await?;
    let inventory = inventory.rows(session, &settings.inventory_query, inventory_row).await?;
    Ok(Metadata { media, inventory })
}

/// One of the configured queries: its key in `[metadata]` and what it must return, by position.
struct Query {
    name: &'static str,
    columns: &'static str,
}

impl Query {
    async fn rows<T>(
        &self,
        session: &mut Session,
        sql: &str,
        parse: fn(&Row) -> Result<T, String>,
    ) -> SqlResult<Vec<T>> {
        let rows = session.query_bounded(sql, ROWS_MAX).await.map_err(|error| self.failed(error))?;
        rows.iter().map(|row| self.parse(row, parse)).collect()
    }

    /// An outage stays an outage; what the query itself got wrong is told with its name.
    fn failed(&self, error: SqlError) -> SqlError {
        let class = match error.class {
            Class::Unavailable | Class::Conflict => return error,
            other => other,
        };
        SqlError::new(class, format!("[metadata] {}: {}", self.name, error.problem))
    }

    fn parse<T>(&self, row: &Row, parse: fn(&Row) -> Result<T, String>) -> SqlResult<T> {
        let wrong = |problem: String| SqlError::new(Class::Metadata, format!("[metadata] {}: {problem}", self.name));
        if row.0.len() != QUERY_COLUMNS {
            let (found, columns) = (row.0.len(), self.columns);
            return Err(wrong(format!("returns {found} columns; write a SELECT of four: {columns}")));
        }
        parse(row).map_err(|problem| {
            let key = row.text_or_null(0).ok().flatten();
            wrong(format!("row {:?}: {problem}; correct the row, or the query", key.as_deref().unwrap_or("NULL")))
        })
    }
}

fn media_row(row: &Row) -> Result<MediaRow, String> {
    Ok(MediaRow {
        media_key: text(row, 0, "media key")?.ok_or("the media key is NULL")?,
        organization_id: id(row, 1, "organization id")?.unwrap_or(0),
        agency_rate: rate(row, 2, "agency rate")?,
        media_rate: rate(row, 3, "media rate")?,
    })
}

fn inventory_row(row: &Row) -> Result<InventoryRow, String> {
    let word = |at, name| Ok::<String, String>(text(row, at, name)?.unwrap_or_default());
    let ad_type = word(1, "ad type")?;
    // It becomes a dimension as it is: longer than the column, it would make every commit that meets it fail.
    if let DimensionKind::Text { chars_max } = Dimension::AdType.kind()
        && ad_type.chars().nth(chars_max).is_some()
    {
        return Err(format!("the ad type has more than {chars_max} characters"));
    }
    Ok(InventoryRow {
        inventory_id: id(row, 0, "inventory id")?.ok_or("the inventory id is NULL")?,
        ad_type,
        device: word(2, "device")?,
        app_type: word(3, "app type")?,
    })
}

fn text(row: &Row, at: usize, name: &str) -> Result<Option<String>, String> {
    row.text_or_null(at).map(|text| text.map(|text| text.to_string())).map_err(|_| format!("the {name} is not text"))
}

fn id(row: &Row, at: usize, name: &str) -> Result<Option<i64>, String> {
    let Some(text) = text(row, at, name)? else { return Ok(None) };
    let parsed = text.trim().parse();
    parsed.map(Some).map_err(|_| format!("the {name} {:?} is not an integer of 64 bits", shown(&text)))
}

fn rate(row: &Row, at: usize, name: &str) -> Result<Rate, String> {
    let Some(text) = text(row, at, name)? else { return Ok(Rate::ZERO) };
    Rate::parse(&text).map_err(|error| format!("{name}: {error}"))
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Replaces the rows of the default metadata tables, in the session's transaction.
pub(super) async fn replace(session: &mut Session, metadata: &Metadata, rows_max: usize) -> SqlResult<()> {
    session.execute("DELETE FROM media", Vec::new()).await?;
    session.execute("DELETE FROM inventory", Vec::new()).await?;
    let rate = |rate: Rate| Value::text(&crate::model::micros::decimal_text(i128::from(rate.units()), 18));
    let media = metadata.media.iter().map(|row| {
        vec![Value::text(&row.media_key), Value::Int(row.organization_id), rate(row.agency_rate), rate(row.media_rate)]
    });
    let columns = ["media_key", "organization_id", "agency_rate", "media_rate"];
    Insert::into("media", &columns).run(session, rows_max, media).await?;
    let inventory = metadata.inventory.iter().map(|row| {
        vec![
            Value::Int(row.inventory_id),
            Value::text(&row.ad_type),
            Value::text(&row.device),
            Value::text(&row.app_type),
        ]
    });
    let columns = ["inventory_id", "ad_type", "device", "app_type"];
    Insert::into("inventory", &columns).run(session, rows_max, inventory).await
}
