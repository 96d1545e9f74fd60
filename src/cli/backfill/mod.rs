//! `backfill`: counts what lies in a bucket or a folder and the books lack, through the daemon's own pipeline; with
//! `--reconcile`, only says what that is.

mod found;
mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use jiff::SignedDuration;
use jiff::civil::Date;

use super::signals::stop_on_signals;
use super::{CliError, open, output, progress};
use crate::config::Config;
use crate::pipeline::{Scan, Scanned, Scope, Shutdown, Tally, Uncounted, fill};
use crate::source::{self, DateRange, ObjectPages, Objects, Selection, SourceSettings, SourceUrl};
use crate::store::SqlStore;
use found::Writer;
use summary::Summary;

#[derive(clap::Args)]
pub struct Args {
    /// s3://bucket/prefix or a folder; [reconcile] url when not given
    url: Option<String>,
    /// Only objects of this date, such as 2024-06-10, and later
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
    /// Only objects of this date and earlier
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// What an object's date is: that in its key, the day it was last modified, or the first of these that there is
    #[arg(long, value_enum, default_value = "auto")]
    date_by: DateBy,
    /// List what would be counted, and count nothing
    #[arg(long)]
    dry_run: bool,
    /// List what the books lack, and count nothing; exit code 1 when something is missing
    #[arg(long, conflicts_with = "dry_run")]
    reconcile: bool,
    /// With --reconcile: younger objects are not missing, they may be on their way [default: [reconcile] min_age]
    #[arg(long, requires = "reconcile", value_name = "DURATION")]
    min_age: Option<SignedDuration>,
    /// Of the list of --dry-run and --reconcile
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DateBy {
    Auto,
    Key,
    Modified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line an object
    Text,
    /// One document: the objects, then the numbers
    Json,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(CliError::Failed(format!("--since {since} is after --until {until}")));
    }
    let source = config.source_at(place(&args, &config)?);
    let store = Arc::new(open::store(&config).await?.on_behalf_of("backfill"));
    store.verify_schema().await?;
    let shutdown = Shutdown::default();
    stop_on_signals(&shutdown, config.shutdown_grace)?;
    let backfill = Backfill { args, config, source, store, shutdown };
    if backfill.args.reconcile || backfill.args.dry_run { backfill.list().await } else { backfill.count().await }
}

fn place(args: &Args, config: &Config) -> Result<SourceUrl, CliError> {
    let Some(text) = &args.url else {
        let configured = config.reconcile.as_ref().map(|reconcile| reconcile.source.url.clone());
        let missing = "no URL is given: write s3://bucket/prefix or a folder, or configure [reconcile] url";
        return configured.ok_or_else(|| CliError::Failed(missing.to_owned()));
    };
    match SourceUrl::parse(text).map_err(CliError::Failed)? {
        SourceUrl::Sqs(url) => {
            let advice = "`run` counts what it announces; give backfill the bucket, s3://bucket/prefix";
            Err(CliError::Failed(format!("{url} is a queue: {advice}")))
        }
        place => Ok(place),
    }
}

struct Backfill {
    args: Args,
    config: Config,
    source: SourceSettings,
    store: Arc<SqlStore>,
    shutdown: Shutdown,
}

impl Backfill {
    /// A page that fails this often, over about a minute, ends a listing.
    const ATTEMPTS_MAX: u32 = 12;

    async fn scan(&self, min_age: Duration, attempts_max: Option<u32>) -> Result<Scan, CliError> {
        let pages = ObjectPages::open(&self.source).await?;
        let by = match self.args.date_by {
            DateBy::Auto => source::DateBy::Auto,
            DateBy::Key => source::DateBy::Key,
            DateBy::Modified => source::DateBy::Modified,
        };
        let (since, until) = (self.args.since, self.args.until);
        let range = || DateRange { since, until, by, zone: self.config.pipeline.rules.zone.clone() };
        let dates = (since.is_some() || until.is_some()).then(range);
        let selection = Selection { dates, modified_since: None };
        Ok(Scan::new(pages, self.store.clone(), Scope { selection, min_age, attempts_max }))
    }

    /// `--reconcile` and `--dry-run`.
    async fn list(&self) -> Result<(), CliError> {
        let scan = self.scan(self.min_age()?, Some(Self::ATTEMPTS_MAX)).await?;
        let url = scan.url().to_owned();
        let mut writer = Writer::begin(self.args.format, &url)?;
        let scanned = self.go_through(scan, |page| writer.objects(&page)).await?;
        writer.end(&scanned)?;
        eprintln!("{}", summary::of_scan(&url, &scanned));
        summary::hints(&scanned, self.args.reconcile).iter().for_each(|hint| eprintln!("{hint}"));
        let lacking = self.args.reconcile && scanned.missing > 0;
        if scanned.complete && !lacking { Ok(()) } else { Err(CliError::Said) }
    }

    fn min_age(&self) -> Result<Duration, CliError> {
        match self.args.min_age {
            _ if !self.args.reconcile => Ok(Duration::ZERO),
            Some(age) => Duration::try_from(age).map_err(|_| CliError::Failed("--min-age is below zero".to_owned())),
            None => Ok(self.config.reconcile_min_age),
        }
    }

    /// First looks how much there is to do, then does it.
    async fn count(&self) -> Result<(), CliError> {
        let before = self.go_through(self.scan(Duration::ZERO, None).await?, |_| Ok(())).await?;
        eprintln!("{}", summary::of_scan(&self.source.url.to_string(), &before));
        let tally = Arc::new(Tally::default());
        let begun = Instant::now();
        let (mut now, mut counted) = (before, Ok(()));
        if before.complete && before.uncounted() > 0 {
            let scan = self.scan(Duration::ZERO, None).await?;
            let scanned = scan.scanned();
            let objects = Arc::new(Objects::open(&self.source).await?);
            let job = Arc::new(self.config.pipeline.clone());
            let filling = fill(scan, objects, self.store.clone(), job, tally.clone(), &self.shutdown);
            counted = progress::shown(before.uncounted(), tally.clone(), filling).await;
            now = *scanned.borrow();
        }
        let summary = Summary { before, now, done: tally.read(), elapsed: begun.elapsed() };
        output::print(&format!("{summary}\n"))?;
        summary::hints(&summary.now, false).iter().for_each(|hint| eprintln!("{hint}"));
        counted?;
        if summary.is_complete() { Ok(()) } else { Err(CliError::Said) }
    }

    /// Goes through everything, with its progress on standard error. A stop ends it early: the numbers say so.
    async fn go_through(
        &self,
        mut scan: Scan,
        mut each: impl FnMut(Vec<Uncounted>) -> Result<(), CliError>,
    ) -> Result<Scanned, CliError> {
        let numbers = scan.scanned();
        let url = scan.url().to_owned();
        let listing = async {
            while let Some(page) = scan.next().await? {
                each(page)?;
            }
            Ok::<(), CliError>(())
        };
        let message = || summary::of_progress(&url, &numbers.borrow());
        tokio::select! {
            biased;
            () = self.shutdown.stopping() => {}
            listed = progress::spinning(message, listing) => listed?,
        }
        let scanned = *numbers.borrow();
        Ok(scanned)
    }
}
