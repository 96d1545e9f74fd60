//! `failed show`: everything about one object, and what to try.

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::advice::{self, Known};
use super::{list, select};
use crate::cli::output::{self, Format, thousands};
use crate::cli::{CliError, io_error};
use crate::config::Config;
use crate::model::object::printable;
use crate::model::{Announced, FailureKind};
use crate::source::fetch::FOLDER_SCHEME;
use crate::source::{FetchError, Objects, SourceUrl};
use crate::store::{CountedRow, FailedRow, FailedState};

#[derive(clap::Args)]
pub struct Args {
    /// s3://bucket/key, a path, or the beginning of a key or of an id
    object: String,
    /// Without looking what is under the object's name now
    #[arg(long)]
    no_look: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: ShowFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    Text,
    Json,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let store = super::store(&config).await?;
    let rows = select::one(&store, &args.object).await?;
    let Some(first) = rows.first() else { return Err(CliError::Failed("nothing is listed".to_owned())) };
    let counted = store.counted(&[first.id]).await?.remove(&first.id);
    let now = if args.no_look || first.bucket.is_empty() { None } else { Some(look(first, &config).await) };
    let of = |row| Known { row, counted: counted.as_ref(), now: now.as_ref() };
    let zone = &config.pipeline.rules.zone;
    output::print(&match args.format {
        ShowFormat::Json => {
            let shown: Result<Vec<Value>, CliError> = rows.iter().map(|row| as_json(&of(row))).collect();
            let text = serde_json::to_string_pretty(&shown?).map_err(|error| io_error("write JSON")(error.into()))?;
            text + "\n"
        }
        ShowFormat::Text => rows.iter().map(|row| as_text(&of(row), zone)).collect::<Vec<_>>().join("\n"),
    })
}

async fn look(row: &FailedRow, config: &Config) -> Result<Announced, FetchError> {
    let url = match (row.bucket.strip_prefix(FOLDER_SCHEME), config.source()) {
        (Some(folder), _) => SourceUrl::Folder(folder.into()),
        (None, Ok(source)) if !matches!(source.url, SourceUrl::Folder(_)) => source.url,
        (None, _) => SourceUrl::Bucket { bucket: row.bucket.clone(), prefix: String::new() },
    };
    Objects::open(&config.source_at(url)).await?.look(&select::object(row)).await
}

fn as_json(known: &Known) -> Result<Value, CliError> {
    let listed = list::rows(std::slice::from_ref(known.row)).to_text(Format::Json)?;
    let listed: Vec<Value> = serde_json::from_str(&listed).map_err(|error| io_error("write JSON")(error.into()))?;
    let mut shown = listed.into_iter().next().unwrap_or_default();
    shown["object"] = select::name(known.row).into();
    shown["message_body"] = known.row.message_body.as_str().into();
    shown["counted"] = known.counted.map_or(Value::Null, |counted| {
        json!({
            "etag": counted.etag, "version_id": counted.version_id, "bytes": counted.bytes, "rows": counted.rows,
            "batch_id": counted.batch_id, "committed_at": counted.committed_at.to_string(),
        })
    });
    shown["now"] = match known.now {
        None => Value::Null,
        Some(Ok(now)) => json!({ "etag": now.etag, "version_id": now.version_id, "bytes": now.bytes }),
        Some(Err(error)) => json!({ "problem": error.to_string() }),
    };
    let advice = advice::advice(known).into_iter();
    shown["advice"] = advice.map(|(what, commands)| json!({ "what": what, "commands": commands })).collect();
    Ok(shown)
}

fn as_text(known: &Known, zone: &TimeZone) -> String {
    let row = known.row;
    let mut text = format!("{}\n", select::name(row));
    let mut fact = |name: &str, value: &str| {
        text += &format!("  {name:<12}{}\n", printable(value));
    };
    fact("id", &row.id.to_string());
    fact("state", row.state.name());
    fact("kind", &row.kind);
    fact("reason", &row.reason);
    let generation = match (&row.etag, &row.version_id) {
        (None, None) => "unknown: nothing was announced or read of it".to_owned(),
        (etag, version) => {
            format!("ETag {}, version {}", etag.as_deref().unwrap_or("-"), version.as_deref().unwrap_or("-"))
        }
    };
    fact("generation", &generation);
    fact("attempts", &row.attempts.to_string());
    fact("first seen", &time(row.first_seen, zone));
    fact("last seen", &time(row.last_seen, zone));
    fact("history", &history(row, zone));
    match (&row.copied_to, &row.copy_problem) {
        (None, None) => {}
        (Some(copy), None) => fact("copy", copy),
        (Some(copy), Some(problem)) => fact("copy", &format!("{copy} (not copied again: {problem})")),
        (None, Some(problem)) => fact("copy", &format!("not copied: {problem}")),
    }
    fact("in reports", &known.counted.map_or("no".to_owned(), |counted| in_reports(row, counted, zone)));
    if let Some(now) = known.now {
        fact("there now", &there_now(row, now));
    }
    text += "\nwhat to try\n";
    for (what, commands) in advice::advice(known) {
        text += &format!("  {what}\n");
        for command in commands {
            text += &format!("    {command}\n");
        }
    }
    text += "\nmessage\n";
    text += &advice::message(&row.message_body).lines().map(|line| format!("  {line}\n")).collect::<String>();
    text
}

/// In the configured zone and in UTC, both said.
fn time(time: Timestamp, zone: &TimeZone) -> String {
    let utc = time.strftime("%Y-%m-%d %H:%M:%S");
    let name = zone.iana_name().unwrap_or("local time");
    format!("{} {name} ({utc} UTC)", time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S"))
}

fn history(row: &FailedRow, zone: &TimeZone) -> String {
    let settled = match (row.state, row.resolved_at) {
        (FailedState::Open, _) => "not settled yet".to_owned(),
        (state, at) => {
            let by = row.resolved_by.as_deref().unwrap_or("an earlier version of this program, or by hand");
            let at = at.map_or(String::new(), |at| format!(" {}", time(at, zone)));
            format!("{}{at} by {by}", state.name())
        }
    };
    row.note.as_ref().map_or(settled.clone(), |note| format!("{settled}: {note}"))
}

fn in_reports(row: &FailedRow, counted: &CountedRow, zone: &TimeZone) -> String {
    let same = match row.etag.is_some() && row.etag == counted.etag {
        true => "this content",
        false => "another content",
    };
    let etag = counted.etag.as_deref().unwrap_or("unknown");
    let rows = thousands(u64::try_from(counted.rows).unwrap_or(0));
    format!("{same}: ETag {etag}, {rows} rows, batch {}, {}", counted.batch_id, time(counted.committed_at, zone))
}

fn there_now(row: &FailedRow, now: &Result<Announced, FetchError>) -> String {
    match now {
        Ok(now) => {
            let same = match (&row.etag, now.etag == row.etag) {
                (None, _) => "a content",
                (Some(_), true) => "what is listed",
                (Some(_), false) => "another content",
            };
            let bytes = now.bytes.map_or(String::new(), |bytes| format!(", {} bytes", thousands(bytes)));
            format!("{same}: ETag {}{bytes}", now.etag.as_deref().unwrap_or("unknown"))
        }
        Err(FetchError::Missing { .. }) if row.kind == FailureKind::Missing.name() => "still nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}
