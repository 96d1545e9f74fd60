//! `run`: the daemon.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::signals::stop_on_signals;
use super::vitals::Daemon;
use super::{CliError, attend, open};
use crate::config::{Config, ConfigError};
use crate::notice::{Channels, Dispatcher, OutageCount};
use crate::pipeline::{self, Job, PipelineError, Pulse, Reconciler, Shutdown, Tally};
use crate::source::SourceSettings;
use crate::store::SqlStore;
use crate::telemetry::metrics::Version;
use crate::telemetry::{Exporter, Meter, alert, endpoint, process};

#[derive(clap::Args)]
pub struct Args {}

pub async fn run(Args {}: Args, config: Config) -> Result<(), CliError> {
    let source = config.source()?;
    let listener = match &config.telemetry.listen {
        Some(listen) => Some(listen_at(listen).await?),
        None => None,
    };
    let store = Arc::new(open::store(&config).await?);
    store.verify_schema().await?;
    let (queue, objects) = open::source(&source).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        source = queue.url(),
        store = store.label(),
        workers = config.pipeline.workers,
        listen = listener.as_ref().and_then(|listener| listener.local_addr().ok()).map(tracing::field::display),
        "started"
    );
    let shutdown = Shutdown::default();
    stop_on_signals(&shutdown, config.shutdown_grace)?;
    let (exporter, meter) = Exporter::new();
    introduce(&meter, &config.pipeline);
    let (tally, pulse) = (Arc::new(Tally::with(meter)), Arc::new(Pulse::default()));
    let notices = Notices::start(&config, &source, &store, &tally).await?;
    let vitals = Arc::new(Daemon {
        exporter,
        tally: tally.clone(),
        pulse: pulse.clone(),
        store: store.clone(),
        queue: queue.clone(),
        shutdown: shutdown.clone(),
        asked: Mutex::default(),
    });
    // They end with the pipeline: until then a stop is told as well.
    let mut beside = JoinSet::new();
    beside.spawn(vitals.clone().sample(listener.is_some()));
    if let Some(listener) = listener {
        beside.spawn(async move {
            if let Err(error) = endpoint::serve(listener, vitals).await {
                error!(%error, "metrics are no longer served");
            }
        });
    }
    let job = Arc::new(config.pipeline);
    // It ends with the daemon; the daemon does not end with it.
    let reconciling_until = shutdown.child();
    let reconciling = config.reconcile.map(|settings| {
        let reconciler = Reconciler::new(settings, store.clone(), &job, tally.clone());
        tokio::spawn(reconciler.run(reconciling_until.clone()))
    });
    // They end with this function.
    let _attendants = attend::whoever_runs_us(&pulse, &tally, &shutdown, config.shutdown_grace);
    let result = pipeline::run(queue, objects, store, job, tally.clone(), pulse, shutdown).await;
    reconciling_until.stop();
    if let Some(Err(panic)) = futures::future::OptionFuture::from(reconciling).await {
        error!(%panic, "reconciling had ended by itself");
    }
    notices.stop().await;
    let done = tally.read();
    info!(
        objects = done.objects,
        duplicates = done.duplicates,
        failed = done.failed,
        rows = done.rows,
        rejected_rows = done.rejected_rows,
        commits = done.commits,
        acknowledged = done.acknowledged,
        "ended"
    );
    result.map(drop).map_err(halted)
}

/// The dispatcher of notices, when there is somebody to tell.
struct Notices {
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Notices {
    /// How long the end waits for a message on its way. One that is cut off is sent again, under the same id.
    const LAST_WORDS: Duration = Duration::from_secs(2);

    async fn start(
        config: &Config,
        source: &SourceSettings,
        store: &Arc<SqlStore>,
        tally: &Arc<Tally>,
    ) -> Result<Notices, CliError> {
        let stop = CancellationToken::new();
        if !config.notice.is_on() {
            return Ok(Notices { stop, task: None });
        }
        let wrong = |problem| CliError::Config(ConfigError { place: "section [notice]".into(), problem });
        let channels = Channels::open(&config.notice, source).await.map_err(wrong)?;
        let tally = tally.clone();
        let dispatcher = Dispatcher {
            store: store.clone(),
            channels,
            settings: config.notice.clone(),
            zone: config.pipeline.rules.zone.clone(),
            outages: Box::new(move || {
                let done = tally.read();
                OutageCount { begun: done.outages, ended: done.recoveries }
            }),
            clock: Box::new(jiff::Timestamp::now),
        };
        Ok(Notices { task: Some(tokio::spawn(dispatcher.run(stop.clone()))), stop })
    }

    async fn stop(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = tokio::time::timeout(Self::LAST_WORDS, task).await;
        }
    }
}

async fn listen_at(listen: &str) -> Result<TcpListener, CliError> {
    let refused = |error| {
        let advice = "is another one running here? Set [telemetry] listen to a free place, or to \"\"";
        CliError::Failed(format!("listen at {listen}: {error}; {advice}"))
    };
    endpoint::bind(listen).await.map_err(refused)
}

/// What does not change while it runs.
fn introduce(meter: &Meter, job: &Job) {
    process::started(meter);
    meter.build_info.set(Version::This, 1.0);
    meter.workers.set((), job.workers as f64);
    meter.deliveries_in_flight_max.set((), job.deliveries_max as f64);
}

fn halted(error: PipelineError) -> CliError {
    error!(%error, "can't go on; everything unfinished is returned to the queue");
    alert::halt(&error.to_string());
    CliError::from(error)
}
