//! `run`: the daemon.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::signals::stop_on_signals;
use super::{CliError, open};
use crate::config::{Config, ConfigError};
use crate::notice::{Channels, Dispatcher, OutageCount};
use crate::pipeline::{self, PipelineError, Pulse, Reconciler, Shutdown, Tally};
use crate::source::SourceSettings;
use crate::store::SqlStore;
use crate::telemetry::alert;

#[derive(clap::Args)]
pub struct Args {}

pub async fn run(Args {}: Args, config: Config) -> Result<(), CliError> {
    let source = config.source()?;
    let store = Arc::new(open::store(&config).await?);
    store.verify_schema().await?;
    let (queue, objects) = open::source(&source).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        source = queue.url(),
        store = store.label(),
        workers = config.pipeline.workers,
        "started"
    );
    let shutdown = Shutdown::default();
    stop_on_signals(&shutdown, config.shutdown_grace)?;
    let tally = Arc::new(Tally::default());
    let notices = Notices::start(&config, &source, &store, &tally).await?;
    let job = Arc::new(config.pipeline);
    // It ends with the daemon; the daemon does not end with it.
    let beside = shutdown.child();
    let reconciling = config.reconcile.map(|settings| {
        let reconciler = Reconciler::new(settings, store.clone(), &job, tally.clone());
        tokio::spawn(reconciler.run(beside.clone()))
    });
    let pulse = Arc::new(Pulse::default());
    let result = pipeline::run(queue, objects, store, job, tally.clone(), pulse, shutdown).await;
    beside.stop();
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

fn halted(error: PipelineError) -> CliError {
    error!(%error, "can't go on; everything unfinished is returned to the queue");
    alert::halt(&error.to_string());
    CliError::from(error)
}
