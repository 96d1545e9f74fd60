//! Which listings a command is about: one object by name, or a filter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::cli::CliError;
use crate::model::object::printable;
use crate::model::{Announced, FailureKind, ObjectId, ObjectRef};
use crate::source::fetch::FOLDER_SCHEME;
use crate::store::{FailedFilter, FailedRow, FailedState, SqlStore, Which};

#[derive(clap::Args)]
pub struct Filters {
    /// Only of this kind, such as gzip or missing
    #[arg(long, value_parser = kind_named)]
    kind: Option<FailureKind>,
    /// Only keys that begin so; s3://bucket/prefix for one bucket's
    #[arg(long)]
    prefix: Option<String>,
    /// Only last seen on this day or later; also 2024-06-10T15:00 (both in the configured time zone) or a time with offset
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only last seen on this day or earlier, or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

fn kind_named(name: &str) -> Result<FailureKind, String> {
    FailureKind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the kinds are {}", known.join(", "))
    })
}

impl Filters {
    pub fn is_empty(&self) -> bool {
        let Filters { kind, prefix, since, until } = self;
        kind.is_none() && prefix.is_none() && since.is_none() && until.is_none()
    }

    pub fn filter(&self, zone: &TimeZone) -> Result<FailedFilter, CliError> {
        let time = |option: &str, text: &Option<String>, end: bool| {
            let read = text.as_deref().map(|text| moment(text, zone, end)).transpose();
            read.map_err(|problem| CliError::Failed(format!("{option}: {problem}")))
        };
        let (since, before) = (time("--since", &self.since, false)?, time("--until", &self.until, true)?);
        if let (Some(since), Some(before)) = (since, before)
            && since >= before
        {
            return Err(CliError::Failed("--since is after --until".to_owned()));
        }
        let (bucket, prefix) = match self.prefix.as_deref().map(|prefix| (prefix.strip_prefix("s3://"), prefix)) {
            None => (None, None),
            Some((None, prefix)) => (None, Some(prefix.to_owned())),
            Some((Some(rest), _)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                (Some(bucket.to_owned()), Some(prefix.to_owned()))
            }
        };
        Ok(FailedFilter { kind: self.kind, bucket, prefix, since, before, ..FailedFilter::default() })
    }
}

/// A day (its beginning, or the end of it), a time of day in `zone`, or a time with an offset.
fn moment(text: &str, zone: &TimeZone, end: bool) -> Result<Timestamp, String> {
    let of_zone = |time: DateTime| time.to_zoned(zone.clone()).map(|time| time.timestamp()).map_err(|e| e.to_string());
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if !text.contains(['T', ' ', ':'])
        && let Ok(date) = text.parse::<Date>()
    {
        let date = if end { date.tomorrow().map_err(|error| error.to_string())? } else { date };
        return of_zone(date.to_datetime(jiff::civil::Time::midnight()));
    }
    let expected = "write 2024-06-10, 2024-06-10T15:00 or 2024-06-10T15:00:00+09:00";
    let time = text.parse::<DateTime>().map_err(|_| format!("`{text}` is not a day or a time: {expected}"))?;
    of_zone(time)
}

/// Rows of listings that are looked through for one object.
const ROWS_MAX: u64 = 1000;
/// Objects named when a name is not unique.
const NAMED_MAX: usize = 10;

/// All listings of the one object that `text` names: `s3://bucket/key`, a path, or the beginning of a key or of an id.
pub async fn one(store: &SqlStore, text: &str) -> Result<Vec<FailedRow>, CliError> {
    let read = async |which: Which, bucket: Option<String>| {
        let filter = FailedFilter { which: Some(which), bucket, limit: Some(ROWS_MAX), ..FailedFilter::default() };
        store.failed(&filter).await
    };
    let in_bucket = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    let mut found = match in_bucket {
        Some((bucket, key)) => read(Which::Ids(vec![ObjectId::of(bucket, key)]), None).await?,
        None => read(Which::Ids(ids_of_path(text)), None).await?,
    };
    if found.is_empty() {
        let (bucket, begins) = in_bucket.map_or((None, text), |(bucket, key)| (Some(bucket.to_owned()), key));
        found = read(Which::Begins(begins.to_owned()), bucket).await?;
        // A key that begins as another one goes on is meant itself when it is written out.
        if found.iter().any(|row| row.key == begins) {
            found.retain(|row| row.key == begins);
        }
    }
    let objects: BTreeMap<ObjectId, String> = found.iter().map(|row| (row.id, name(row))).collect();
    match objects.len() {
        0 => Err(CliError::Failed(format!(
            "{}: no such object is listed; `xc2-analyzer failed list --all` names them",
            printable(text)
        ))),
        1 => Ok(found),
        several => {
            let mut told = format!("{}: {several} objects are listed whose key or id begins so:", printable(text));
            for (id, name) in objects.iter().take(NAMED_MAX) {
                told += &format!("\n  {}  {name}", short(*id));
            }
            if several > NAMED_MAX {
                told += &format!("\n  and {} more", several - NAMED_MAX);
            }
            Err(CliError::Failed(told))
        }
    }
}

/// A file may be listed as an object of any of the folders above it.
fn ids_of_path(text: &str) -> Vec<ObjectId> {
    let path = PathBuf::from(text.strip_prefix(FOLDER_SCHEME).unwrap_or(text));
    // A folder is listed by its canonical path; of a file that is gone only its folder can be asked for that.
    let canonical = std::fs::canonicalize(&path).ok().or_else(|| {
        let (folder, name) = (path.parent()?, path.file_name()?);
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        Some(std::fs::canonicalize(folder).ok()?.join(name))
    });
    let paths = [canonical, std::path::absolute(&path).ok()].into_iter().flatten();
    let of = |path: PathBuf| {
        let folders: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        folders.into_iter().filter_map(move |folder| {
            let key = path.strip_prefix(&folder).ok()?.to_str()?;
            Some(ObjectId::of(&format!("{FOLDER_SCHEME}{}", folder.to_str()?), key))
        })
    };
    paths.flat_map(of).collect()
}

pub fn object(row: &FailedRow) -> ObjectRef {
    let announced = Announced { version_id: row.version_id.clone(), etag: row.etag.clone(), ..Announced::default() };
    ObjectRef { bucket: row.bucket.clone(), key: row.key.clone(), announced }
}

/// As a person knows it, and as these commands take it.
pub fn name(row: &FailedRow) -> String {
    match row.bucket.as_str() {
        "" => printable(&row.key).into_owned(),
        _ => object(row).to_string(),
    }
}

/// The beginning of an id, long enough to be unique among failures.
pub fn short(id: ObjectId) -> String {
    id.to_string()[..12].to_owned()
}

/// A time in the configured zone, with its offset.
pub fn local(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// What a command that takes open listings only says of those of one object when none is.
pub fn none_open(rows: &[FailedRow]) -> CliError {
    let Some(row) = rows.first() else { return CliError::Failed("nothing is listed".to_owned()) };
    let by = row.resolved_by.as_deref().unwrap_or("nobody known");
    let what = match row.state {
        FailedState::Discarded => {
            let note = row.note.as_deref().unwrap_or_default();
            format!("discarded by {by} ({note}): `xc2-analyzer failed reopen {}` takes that back", short(row.id))
        }
        FailedState::Resolved => format!("resolved by {by}: it is counted"),
        FailedState::Open => "open".to_owned(),
    };
    CliError::Failed(format!("{}: the listing is {}", name(row), printable(&what)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2024-06-10", false, "2024-06-09T15:00:00Z")]
    #[case("2024-06-10", true, "2024-06-10T15:00:00Z")] // the day's end
    #[case("2024-06-10T15:00", true, "2024-06-10T06:00:00Z")]
    #[case("2024-06-10 15:00:30", false, "2024-06-10T06:00:30Z")]
    #[case("2024-06-10T15:00:00Z", false, "2024-06-10T15:00:00Z")]
    #[case("2024-06-10T15:00:00+01:00", true, "2024-06-10T14:00:00Z")]
    fn day_or_time_is_of_the_configured_zone_unless_it_says_its_own(
        #[case] text: &str,
        #[case] end: bool,
        #[case] expected: &str,
    ) {
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        assert_eq!(moment(text, &zone, end).unwrap().to_string(), expected);
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        let problem = moment("yesterday", &TimeZone::UTC, false).unwrap_err();
        assert!(problem.contains("`yesterday`") && problem.contains("2024-06-10T15:00"), "{problem}");
    }

    #[test]
    fn file_is_looked_for_under_each_folder_above_it() {
        let ids = ids_of_path("/no/such/file.pkl");
        for (folder, key) in [("/no/such", "file.pkl"), ("/no", "such/file.pkl"), ("/", "no/such/file.pkl")] {
            assert!(ids.contains(&ObjectId::of(&format!("file://{folder}"), key)), "{folder}");
        }
    }
}
