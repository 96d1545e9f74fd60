//! `failed retry`: tries to count failed objects again, by the daemon's own pipeline and next to a daemon at work.
//!
//! It owns nothing that could be lost: a listing stays open until the transaction that counts its object resolves it, so
//! that a retry which is killed at any moment is simply begun again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::plan::{self, Step};
use super::select::{self, Filters};
use super::{known_user, listings};
use crate::cli::output::{self, Column, ColumnKind, Format, Rows, thousands};
use crate::cli::signals::stop_on_signals;
use crate::cli::{CliError, progress};
use crate::config::Config;
use crate::model::ObjectId;
use crate::model::delivery::Content;
use crate::pipeline::{self, Shutdown, Tallied, Tally};
use crate::source::given::What;
use crate::source::{Given, GivenQueue, Objects, SourceUrl};
use crate::store::{CountedRow, Decision, FailedFilter, FailedKey, FailedRow, FailedState, SqlStore, Which};

#[derive(clap::Args)]
pub struct Args {
    /// s3://bucket/key, a path, or the beginning of a key or of an id
    #[arg(conflicts_with_all = ["kind", "prefix", "since", "until", "all"])]
    object: Option<String>,
    #[command(flatten)]
    filters: Filters,
    /// Everything that is open
    #[arg(long)]
    all: bool,
    /// Of objects that were listed with a version: read what is there now instead
    #[arg(long)]
    current: bool,
    /// At most so many, those that were tried longest ago
    #[arg(long, default_value = "5000", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    limit: u64,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Who tries; otherwise who is logged in
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    if args.object.is_none() && args.filters.is_empty() && !args.all {
        let problem = "name an object, or say which with --kind, --prefix, --since, --until or --all";
        return Err(CliError::Failed(problem.to_owned()));
    }
    let who = known_user(args.by.as_deref()).unwrap_or_else(|| "somebody".to_owned());
    let who = format!("{who} (failed retry)");
    let filter = FailedFilter {
        state: Some(FailedState::Open),
        limit: Some(args.limit),
        oldest_first: true,
        ..args.filters.filter(&config.pipeline.rules.zone)?
    };
    let store = Arc::new(super::store(&config).await?.on_behalf_of(&who));
    let (rows, left) = open_rows(&store, &args, &filter).await?;
    if rows.is_empty() {
        eprintln!("{}: no such failed objects", store.label());
        return Ok(());
    }
    let ids: Vec<ObjectId> = rows.iter().map(|row| row.id).collect::<HashSet<_>>().into_iter().collect();
    let steps = plan::steps(&rows, &store.counted(&ids).await?, &config, args.current);
    if args.dry_run {
        output::print(&told(&rows, &steps).to_text(args.format)?)?;
        eprintln!("{} would be seen to; nothing was done (--dry-run)", listings(rows.len()));
        return Ok(());
    }
    let retry = Retry { objects: objects(&config, &steps).await?, store, rows, steps };
    let (tallied, finished) = retry.run(&config).await?;
    let results = retry.results(finished).await?;
    output::print(&retry.outcomes(&results).to_text(args.format)?)?;
    eprint!("{}", summary(&results, &tallied));
    if !args.current && retry.has_failed_version(&results) {
        eprintln!("of objects with a version the listed one was read again; --current reads what is there now");
    }
    if left > 0 {
        eprintln!("{} more are open: run it again for the next ones", thousands(left));
    }
    if !finished {
        return Err(CliError::Failed("stopped before the end: what was not tried is still listed".to_owned()));
    }
    let single_refused = args.object.is_some() && results.iter().all(|result| result.is(Fate::Refused));
    let failed_again = results.iter().any(|result| result.is(Fate::Failed));
    if failed_again || single_refused { Err(CliError::Said) } else { Ok(()) }
}

/// The open listings that are meant, and how many more there are.
async fn open_rows(store: &SqlStore, args: &Args, filter: &FailedFilter) -> Result<(Vec<FailedRow>, u64), CliError> {
    let Some(object) = &args.object else {
        let rows = store.failed(filter).await?;
        let all: u64 = store.failed_totals(filter).await?.iter().map(|total| total.listings).sum();
        let left = all.saturating_sub(rows.len() as u64);
        return Ok((rows, left));
    };
    let all = select::one(store, object).await?;
    let open: Vec<FailedRow> = all.iter().filter(|row| row.state == FailedState::Open).cloned().collect();
    if open.is_empty() { Err(select::none_open(&all)) } else { Ok((open, 0)) }
}

/// Reads S3, unless all that is tried are local files.
async fn objects(config: &Config, steps: &[Step]) -> Result<Arc<Objects>, CliError> {
    let is_of_s3 = |step: &Step| match step {
        Step::Try(Given { what: What::Current(object), .. }) => !object.bucket.starts_with("file://"),
        Step::Try(Given { what: What::Announced(_), .. }) => true,
        Step::CountedAlready | Step::Refused(_) => false,
    };
    let url = match (steps.iter().any(is_of_s3), config.source().map(|source| source.url)) {
        (false, _) => SourceUrl::Folder("/".into()),
        // The queue's URL tells the region where the environment does not.
        (true, Ok(url @ (SourceUrl::Sqs(_) | SourceUrl::Bucket { .. }))) => url,
        (true, _) => SourceUrl::Bucket { bucket: String::new(), prefix: String::new() },
    };
    Ok(Arc::new(Objects::open(&config.source_at(url)).await?))
}

struct Retry {
    store: Arc<SqlStore>,
    objects: Arc<Objects>,
    rows: Vec<FailedRow>,
    /// One for each row.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Resolved,
    Failed,
    Refused,
    NotTried,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Resolved => "resolved",
            Fate::Failed => "failed again",
            Fate::Refused => "refused",
            Fate::NotTried => "not tried",
        }
    }
}

/// What became of one listing.
struct Outcome {
    fate: Fate,
    told: String,
}

impl Outcome {
    fn is(&self, fate: Fate) -> bool {
        self.fate == fate
    }

    fn of(fate: Fate, told: impl Into<String>) -> Self {
        Outcome { fate, told: told.into() }
    }
}

impl Retry {
    /// Runs what is to be tried through the pipeline; whether it came to its end.
    async fn run(&self, config: &Config) -> Result<(Tallied, bool), CliError> {
        let counted: Vec<FailedKey> = self.of_step(|step| matches!(step, Step::CountedAlready));
        self.store.decide(&counted, &Decision::Resolve { note: "it was counted already".to_owned() }).await?;
        let (given, tally) = (plan::queue(&self.steps), Arc::new(Tally::default()));
        if given.is_empty() {
            return Ok((tally.read(), true));
        }
        let total = given.len() as u64;
        let queue = Arc::new(GivenQueue::new(given, self.objects.clone()));
        let shutdown = Shutdown::default();
        stop_on_signals(&shutdown, config.shutdown_grace)?;
        let job = Arc::new(config.pipeline.clone());
        let (objects, store) = (self.objects.clone(), self.store.clone());
        let pipeline = pipeline::run(queue, objects, store, job, tally.clone(), Arc::default(), shutdown.clone());
        let tallied = progress::shown(total, tally, pipeline).await?;
        let finished = !shutdown.is_stopping();
        if finished {
            // All that they name is counted or has a listing of its own by now.
            let read = self
                .of_step(|step| matches!(step, Step::Try(Given { what: What::Announced(Content::Objects(_)), .. })));
            let messages: Vec<FailedKey> = read.into_iter().filter(|key| self.is_message(key)).collect();
            let note = "the message could be read, and its objects were seen to".to_owned();
            self.store.decide(&messages, &Decision::Resolve { note }).await?;
        }
        Ok((tallied, finished))
    }

    fn of_step(&self, wanted: impl Fn(&Step) -> bool) -> Vec<FailedKey> {
        let rows = self.rows.iter().zip(&self.steps).filter(|(_, step)| wanted(step));
        rows.map(|(row, _)| row.listing()).collect()
    }

    fn is_message(&self, key: &FailedKey) -> bool {
        self.rows.iter().any(|row| row.bucket.is_empty() && row.id == key.id)
    }

    /// What the database says now, and, of listings that it does not tell of, why.
    async fn results(&self, finished: bool) -> Result<Vec<Outcome>, CliError> {
        let ids: HashSet<ObjectId> = self.rows.iter().map(|row| row.id).collect();
        let (mut now, mut counted): (HashMap<FailedKey, FailedRow>, HashMap<ObjectId, CountedRow>) = Default::default();
        const IDS_MAX: usize = 500;
        let ids: Vec<ObjectId> = ids.into_iter().collect();
        for ids in ids.chunks(IDS_MAX) {
            let filter = FailedFilter { which: Some(Which::Ids(ids.to_vec())), ..FailedFilter::default() };
            now.extend(self.store.failed(&filter).await?.into_iter().map(|row| (row.listing(), row)));
            counted.extend(self.store.counted(ids).await?);
        }
        let mut results = Vec::new();
        for (row, step) in self.rows.iter().zip(&self.steps) {
            let result = match (step, now.get(&row.listing())) {
                (Step::Refused(why), _) => Outcome::of(Fate::Refused, why),
                (_, None) => Outcome::of(Fate::NotTried, "meanwhile its row was deleted"),
                (_, Some(after)) => match after.state {
                    FailedState::Resolved => Outcome::of(Fate::Resolved, resolved(row, after, counted.get(&row.id))),
                    FailedState::Discarded => Outcome::of(Fate::Refused, "meanwhile it was discarded"),
                    FailedState::Open if after.attempts > row.attempts || after.last_seen > row.last_seen => {
                        Outcome::of(Fate::Failed, format!("{}: {}", after.kind, after.reason))
                    }
                    FailedState::Open if !finished => Outcome::of(Fate::NotTried, "stopped before its turn"),
                    FailedState::Open => self.elsewhere(row, &now, counted.get(&row.id)).await?,
                },
            };
            results.push(result);
        }
        Ok(results)
    }

    /// The listed content is gone, and what is there now was seen to under its own name.
    async fn elsewhere(
        &self,
        row: &FailedRow,
        now: &HashMap<FailedKey, FailedRow>,
        counted: Option<&CountedRow>,
    ) -> Result<Outcome, CliError> {
        let object = select::object(row);
        let there = self.objects.look(&object).await.ok().and_then(|current| current.etag);
        let same = counted.is_some_and(|counted| there.is_some() && counted.etag == there);
        if same {
            let note = "its content was replaced by the one that is counted".to_owned();
            self.store.decide(&[row.listing()], &Decision::Resolve { note: note.clone() }).await?;
            return Ok(Outcome::of(Fate::Resolved, note));
        }
        let others = now.values().filter(|other| other.id == row.id && other.generation != row.generation);
        let newest = others.max_by_key(|other| other.last_seen).filter(|other| other.last_seen > row.last_seen);
        let told = match newest {
            Some(other) => format!(
                "its content was replaced; what is there now is listed itself (ETag {}): {}: {}",
                other.generation, other.kind, other.reason
            ),
            None => "its content was replaced, and what is there now was neither counted nor listed".to_owned(),
        };
        self.store.decide(&[row.listing()], &Decision::Retried { note: told.clone() }).await?;
        Ok(Outcome::of(Fate::Failed, told))
    }

    fn has_failed_version(&self, results: &[Outcome]) -> bool {
        let is_version = |step: &Step| match step {
            Step::Try(Given { what: What::Announced(Content::Objects(objects)), .. }) => {
                objects.iter().any(|object| object.announced.version_id.is_some())
            }
            Step::Try(_) | Step::CountedAlready | Step::Refused(_) => false,
        };
        self.steps.iter().zip(results).any(|(step, result)| result.is(Fate::Failed) && is_version(step))
    }

    fn outcomes(&self, results: &[Outcome]) -> Rows {
        let row = |(row, result): (&FailedRow, &Outcome)| {
            [select::name(row), row.kind.clone(), result.fate.name().to_owned(), result.told.clone()]
                .into_iter()
                .map(Some)
                .collect()
        };
        Rows { columns: columns(), rows: self.rows.iter().zip(results).map(row).collect() }
    }
}

fn columns() -> Vec<Column> {
    ["object", "was", "outcome", "detail"].map(|name| Column::new(name, ColumnKind::Text)).into()
}

fn resolved(row: &FailedRow, after: &FailedRow, counted: Option<&CountedRow>) -> String {
    let Some(counted) = counted else { return after.note.clone().unwrap_or_default() };
    let other = row.etag.is_some() && counted.etag != row.etag;
    let what = match (&counted.etag, other) {
        (Some(etag), true) => format!(", with the content that is there now (ETag {etag})"),
        _ => String::new(),
    };
    format!("counted: {} rows{what}", thousands(counted.rows.max(0) as u64))
}

fn told(rows: &[FailedRow], steps: &[Step]) -> Rows {
    let row = |(row, step): (&FailedRow, &Step)| {
        let what = if matches!(step, Step::Refused(_)) { "refused" } else { "would be tried" };
        [select::name(row), row.kind.clone(), what.to_owned(), step.told()].into_iter().map(Some).collect()
    };
    Rows { columns: columns(), rows: rows.iter().zip(steps).map(row).collect() }
}

fn summary(results: &[Outcome], tallied: &Tallied) -> String {
    let of = |fate: Fate| results.iter().filter(|result| result.is(fate)).count();
    let mut text = format!(
        "{}: {} resolved, {} failed again, {} refused",
        listings(results.len()),
        of(Fate::Resolved),
        of(Fate::Failed),
        of(Fate::Refused)
    );
    if of(Fate::NotTried) > 0 {
        text += &format!(", {} not tried", of(Fate::NotTried));
    }
    text += &format!("; counted now: {} objects, {} rows\n", thousands(tallied.objects), thousands(tallied.rows));
    if of(Fate::Failed) > 0 {
        text += "`xc2-analyzer failed show OBJECT` has what to try\n";
    }
    text
}
