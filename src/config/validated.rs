//! The configuration as meant: every value in range, every name resolved. What later stages take comes from here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::ConfigError;
use super::raw::{self, Raw};
use crate::model::{Dimension, DimensionKind, Language, Limits, LogSchema, Secret};
use crate::notice::NoticeSettings;
use crate::pipeline::{Bounds, Job, ReconcileAction, ReconcileSettings, Rules};
use crate::report::Plan;
use crate::source::{CopyTarget, Filter, SourceSettings, SourceUrl};
use crate::store::StoreSettings;
use crate::telemetry::{Format, LogSettings, endpoint};

/// A configuration that can be used.
#[derive(Clone)]
pub struct Config {
    pub plan: Arc<Plan>,
    pub pipeline: Job,
    pub max_reject_ratio: f64,
    pub store: StoreSettings,
    pub telemetry: TelemetrySettings,
    /// Of reports, unless `--lang` names another.
    pub language: Language,
    pub notice: NoticeSettings,
    pub shutdown_grace: Duration,
    /// `None` when no URL is given.
    pub reconcile: Option<ReconcileSettings>,
    /// [`ReconcileSettings::min_age`], which also `backfill --reconcile` of another URL goes by.
    pub reconcile_min_age: Duration,
    /// `None` when it is left empty: only some commands need a source.
    source_url: Option<SourceUrl>,
    /// Everything of the source but where it is.
    source: SourceSettings,
}

#[derive(Clone)]
pub struct TelemetrySettings {
    pub log: LogSettings,
    /// Empty: no alerts.
    pub sentry_dsn: Secret,
    pub environment: String,
    /// `host:port`; `None`: nothing is served.
    pub listen: Option<String>,
}

impl Config {
    /// The configured source.
    pub fn source(&self) -> Result<SourceSettings, ConfigError> {
        match &self.source_url {
            Some(url) => Ok(self.source_at(url.clone())),
            None => {
                Err(wrong("source.url", "is empty: give the URL of the SQS queue, or set XC2__SOURCE__URL".to_owned()))
            }
        }
    }

    /// The configured way of talking to AWS, when no source is at hand.
    pub fn source_or_none(&self) -> SourceSettings {
        self.source().unwrap_or_else(|_| self.source.clone())
    }

    /// The configured way of reading, at another place.
    pub fn source_at(&self, url: SourceUrl) -> SourceSettings {
        SourceSettings { url, ..self.source.clone() }
    }

    /// Which announced objects are to be counted.
    pub fn filter(&self) -> &Filter {
        &self.source.filter
    }

    /// The same, for a command that may create the embedded database's file.
    pub fn creating_database(mut self) -> Config {
        self.store.create = true;
        self
    }

    /// The same, with an embedded database at `path`.
    pub fn with_sqlite(mut self, path: &std::path::Path) -> Config {
        self.store.url = format!("sqlite:{}", path.display());
        self.creating_database()
    }
}

pub(super) fn validate(raw: Raw) -> Result<Config, ConfigError> {
    let plan = Plan::new(&raw.measure, &raw.report)
        .map_err(|error| ConfigError { place: error.entry, problem: error.problem })?;
    let plan = Arc::new(plan);
    let source_url = match raw.source.url.trim() {
        "" => None,
        url => Some(SourceUrl::parse(url).map_err(|problem| wrong("source.url", problem))?),
    };
    let notice = super::notice::notice(raw.notice.clone())?;
    let (source, shutdown_grace) = (source(&raw.source, &raw.failed)?, shutdown_grace(&raw)?);
    let (reconcile, reconcile_min_age) = reconcile(&raw.reconcile, &source)?;
    Ok(Config {
        pipeline: job(&raw, &plan)?,
        max_reject_ratio: raw.log.max_reject_ratio,
        store: StoreSettings { failures_every: notice.is_on().then_some(notice.failures_every), ..store(&raw)? },
        notice,
        language: language(&raw.display)?,
        telemetry: telemetry(raw.telemetry)?,
        shutdown_grace,
        reconcile,
        reconcile_min_age,
        source,
        source_url,
        plan,
    })
}

pub(super) fn wrong(key: &str, problem: String) -> ConfigError {
    ConfigError { place: format!("config key {key}"), problem }
}

/// A duration above zero and up to `max`.
pub(super) fn duration(key: &str, value: SignedDuration, max: Duration) -> Result<Duration, ConfigError> {
    let value = Duration::try_from(value).unwrap_or_default();
    if value.is_zero() {
        return Err(wrong(key, "must be longer than 0".into()));
    }
    if value > max {
        let max = SignedDuration::try_from(max).unwrap_or(SignedDuration::MAX);
        return Err(wrong(key, format!("must be at most {max:#}")));
    }
    Ok(value)
}

fn at_least_one<T: PartialOrd + From<u8>>(key: &str, value: T) -> Result<T, ConfigError> {
    if value < T::from(1) { Err(wrong(key, "must be at least 1".into())) } else { Ok(value) }
}

fn at_most<T: PartialOrd + From<u8> + std::fmt::Display>(key: &str, value: T, max: T) -> Result<T, ConfigError> {
    let value = at_least_one(key, value)?;
    if value > max { Err(wrong(key, format!("must be at most {max}"))) } else { Ok(value) }
}

fn source(raw: &raw::Source, failed: &raw::Failed) -> Result<SourceSettings, ConfigError> {
    const HOUR: Duration = Duration::from_secs(3600);
    let aside = CopyTarget::parse(&failed.copy_to).map_err(|problem| wrong("failed.copy_to", problem))?;
    Ok(SourceSettings {
        url: SourceUrl::Folder(PathBuf::new()),
        filter: Filter { prefix: raw.prefix.clone(), suffix: raw.suffix.clone(), aside },
        // The limits of SQS: 20 s and 12 h.
        long_poll: duration("source.long_poll", raw.long_poll, Duration::from_secs(20))?,
        visibility: visibility(raw.visibility)?,
        connect_timeout: duration("source.connect_timeout", raw.connect_timeout, HOUR)?,
        read_timeout: duration("source.read_timeout", raw.read_timeout, HOUR)?,
        fetch_timeout: duration("source.fetch_timeout", raw.fetch_timeout, HOUR)?,
    })
}

fn shutdown_grace(raw: &Raw) -> Result<Duration, ConfigError> {
    let grace = duration("run.shutdown_grace", raw.run.shutdown_grace, Duration::from_secs(3600))?;
    if raw.run.shutdown_grace <= raw.source.long_poll {
        return Err(wrong("run.shutdown_grace", "must be longer than source.long_poll, which a stop waits for".into()));
    }
    Ok(grace)
}

/// And its minimum age, also without a URL.
fn reconcile(
    raw: &raw::Reconcile,
    source: &SourceSettings,
) -> Result<(Option<ReconcileSettings>, Duration), ConfigError> {
    const TEN_YEARS: Duration = Duration::from_secs(3650 * 86_400);
    let action = match raw.action.as_str() {
        "report" => ReconcileAction::Report,
        "count" => ReconcileAction::Count,
        other => return Err(wrong("reconcile.action", format!("{other:?} is neither \"report\" nor \"count\""))),
    };
    let interval = duration("reconcile.interval", raw.interval, TEN_YEARS)?;
    let min_age = duration("reconcile.min_age", raw.min_age, TEN_YEARS)?;
    let lookback = duration("reconcile.lookback", raw.lookback, TEN_YEARS)?;
    if lookback < min_age.saturating_add(interval) {
        let problem = "must be at least min_age and interval together, or objects would never be looked at";
        return Err(wrong("reconcile.lookback", problem.into()));
    }
    let url = match raw.url.trim() {
        "" => return Ok((None, min_age)),
        url => SourceUrl::parse(url).map_err(|problem| wrong("reconcile.url", problem))?,
    };
    if let SourceUrl::Sqs(_) = url {
        return Err(wrong("reconcile.url", "is a queue: give the s3://bucket/prefix that it announces".into()));
    }
    let source = SourceSettings { url, ..source.clone() };
    Ok((Some(ReconcileSettings { source, interval, min_age, lookback, action }), min_age))
}

/// Below some seconds the heartbeat, a third of it, would race with ordinary delays.
fn visibility(value: SignedDuration) -> Result<Duration, ConfigError> {
    const VISIBILITY_MIN: Duration = Duration::from_secs(3);
    let value = duration("source.visibility", value, Duration::from_secs(12 * 3600))?;
    if value < VISIBILITY_MIN {
        return Err(wrong("source.visibility", "must be at least 3s: it is extended every third of it".into()));
    }
    Ok(value)
}

fn store(raw: &Raw) -> Result<StoreSettings, ConfigError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let password = Some(&raw.store.password).filter(|password| !password.is_empty());
    let query = |key: &str, text: &str| match text.trim() {
        "" => Err(wrong(key, "must not be empty".into())),
        text => Ok(text.to_owned()),
    };
    let settings = StoreSettings {
        url: raw.store.url.clone(),
        password: password.map(Secret::new),
        media_query: query("metadata.media", &raw.metadata.media)?,
        inventory_query: query("metadata.inventory", &raw.metadata.inventory)?,
        connect_timeout: duration("store.connect_timeout", raw.store.connect_timeout, DAY)?,
        statement_timeout: duration("store.statement_timeout", raw.store.statement_timeout, DAY)?,
        connections_max: at_least_one("store.connections_max", raw.store.connections_max)?,
        upsert_rows: at_most("store.upsert_rows", raw.store.upsert_rows, 2000)?,
        // A mistyped path must not make a new, empty database.
        create: false,
        ..StoreSettings::default()
    };
    settings.check_url().map_err(|problem| wrong("store.url", problem))?;
    Ok(settings)
}

fn job(raw: &Raw, plan: &Arc<Plan>) -> Result<Job, ConfigError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let on_overwrite = raw.store.on_overwrite.as_str();
    if !["quarantine", "ignore"].contains(&on_overwrite) {
        let problem = format!("{on_overwrite:?} is neither \"quarantine\" nor \"ignore\"");
        return Err(wrong("store.on_overwrite", problem));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Job {
        rules: rules(raw, plan)?,
        ahead: duration("log.ahead", raw.log.ahead, 36_500 * DAY)?,
        batch_size: at_most("source.batch_size", raw.source.batch_size, 1000)?,
        batch_wait: duration("source.batch_wait", raw.source.batch_wait, DAY)?,
        workers: if raw.run.workers == 0 { cores } else { at_most("run.workers", raw.run.workers, 1024)? },
        deliveries_max: at_most("source.deliveries_max", raw.source.deliveries_max, 100_000)?,
        fetch_attempts_max: at_least_one("source.fetch_attempts_max", raw.source.fetch_attempts_max)?,
        fetch_patience: duration("source.fetch_patience", raw.source.fetch_patience, DAY)?,
        merge_objects_max: at_most("store.merge_objects_max", raw.store.merge_objects_max, 10_000)?,
        merge_cells_max: at_most("store.merge_cells_max", raw.store.merge_cells_max, 100_000_000)?,
        quarantine_overwritten: on_overwrite == "quarantine",
        metadata_refresh: duration("metadata.refresh", raw.metadata.refresh, DAY)?,
        metadata_miss_refresh: duration("metadata.miss_refresh", raw.metadata.miss_refresh, DAY)?,
        bounds: bounds(&source(&raw.source, &raw.failed)?, &store(raw)?),
    })
}

/// What the timeouts of one step add up to.
fn bounds(source: &SourceSettings, store: &StoreSettings) -> Bounds {
    /// Beside the timeouts: names to look up, credentials to renew.
    const SLACK: Duration = Duration::from_secs(5);
    /// A commit's many statements take as long as a few that come close to their timeout; more would be hopeless.
    const SLOW_STATEMENTS: u32 = 10;
    let settle = source.connect_timeout + source.read_timeout + SLACK;
    Bounds {
        receive: settle + source.long_poll,
        settle,
        fetch: source.fetch_timeout + SLACK,
        transaction: store.connect_timeout + SLOW_STATEMENTS * store.statement_timeout,
    }
}

fn rules(raw: &Raw, plan: &Arc<Plan>) -> Result<Rules, ConfigError> {
    let zone = TimeZone::get(&raw.log.timezone).map_err(|_| {
        wrong("log.timezone", format!("{:?} is not a time zone; write one such as Asia/Seoul", raw.log.timezone))
    })?;
    if !(0.0..=1.0).contains(&raw.log.max_reject_ratio) {
        return Err(wrong("log.max_reject_ratio", "must be between 0 and 1".into()));
    }
    Ok(Rules {
        schema: log_schema(&raw.log, plan)?,
        limits: limits(&raw.limits)?,
        zone,
        max_reject_ratio: raw.log.max_reject_ratio,
        plan: plan.clone(),
        spare: Arc::default(),
    })
}

fn log_schema(raw: &raw::Log, plan: &Plan) -> Result<LogSchema, ConfigError> {
    let measures = plan.measure_fields();
    let of_row = [("timestamp", &raw.timestamp), ("media_key", &raw.media_key), ("ads", &raw.ads)];
    let of_ad = [("inventory", &raw.inventory), ("ad", &raw.ad), ("demand", &raw.demand)];
    for fields in [&of_row, &of_ad] {
        for (at, (key, field)) in fields.iter().enumerate() {
            let key = format!("log.{key}");
            if field.is_empty() {
                return Err(wrong(&key, "must not be empty".into()));
            }
            if fields[..at].iter().any(|(_, earlier)| earlier == field) {
                return Err(wrong(&key, format!("the field {field:?} is read twice")));
            }
        }
    }
    if let Some(measure) = measures.iter().find(|m| of_row.iter().any(|(_, field)| **field == m.field)) {
        return Err(wrong(
            &format!("measure {:?}", measure.name),
            format!("the field {:?} is read twice", measure.field),
        ));
    }
    let DimensionKind::Text { chars_max: media_key_chars_max } = Dimension::MediaKey.kind() else {
        unreachable!("a media key is text")
    };
    let earliest = raw.earliest.to_zoned(TimeZone::UTC).map_err(|error| wrong("log.earliest", error.to_string()))?;
    Ok(LogSchema {
        timestamp: raw.timestamp.clone(),
        media_key: raw.media_key.clone(),
        ads: raw.ads.clone(),
        inventory: raw.inventory.clone(),
        ad: raw.ad.clone(),
        demand: raw.demand.clone(),
        measures,
        media_key_chars_max,
        // The end moves with the clock: see `Job::rules_now`.
        window: earliest.timestamp().as_second()..=i64::MAX,
    })
}

fn limits(raw: &raw::Limits) -> Result<Limits, ConfigError> {
    let size = |key: &str, value: u64| usize::try_from(value).map_err(|_| wrong(key, "is too large".into()));
    Ok(Limits {
        object_bytes_max: at_least_one("limits.object_bytes_max", raw.object_bytes_max.as_u64())?,
        inflated_bytes_max: at_least_one("limits.inflated_bytes_max", raw.inflated_bytes_max.as_u64())?,
        inflate_ratio_max: at_least_one("limits.inflate_ratio_max", raw.inflate_ratio_max)?,
        rows_max: at_least_one("limits.rows_max", raw.rows_max)?,
        cells_max: at_least_one("limits.cells_max", raw.cells_max)?,
        nesting_max: at_most("limits.nesting_max", raw.nesting_max, 10_000)?,
        text_bytes_max: size("limits.text_bytes_max", raw.text_bytes_max.as_u64())?,
        decoder_bytes_max: size("limits.decoder_bytes_max", raw.decoder_bytes_max.as_u64())?,
        batch_rows: at_most("limits.batch_rows", raw.batch_rows, 1_000_000)?,
    })
}

fn language(raw: &raw::Display) -> Result<Language, ConfigError> {
    Language::named(&raw.language)
        .ok_or_else(|| wrong("display.language", format!("{:?} is neither \"en\" nor \"ko\"", raw.language)))
}

fn telemetry(raw: raw::Telemetry) -> Result<TelemetrySettings, ConfigError> {
    let format = match raw.format.as_str() {
        "auto" => Format::Auto,
        "text" => Format::Text,
        "json" => Format::Json,
        other => return Err(wrong("telemetry.format", format!("{other:?} is none of auto, text, json"))),
    };
    let log = LogSettings::new(&raw.level, format).map_err(|problem| wrong("telemetry.level", problem))?;
    crate::telemetry::alert::check_dsn(&raw.sentry_dsn).map_err(|problem| wrong("telemetry.sentry_dsn", problem))?;
    let listen = Some(raw.listen.trim().to_owned()).filter(|listen| !listen.is_empty());
    let checked = listen.as_deref().map_or(Ok(()), endpoint::check_listen);
    checked.map_err(|problem| wrong("telemetry.listen", problem))?;
    Ok(TelemetrySettings { log, sentry_dsn: Secret::new(raw.sentry_dsn), environment: raw.environment, listen })
}
