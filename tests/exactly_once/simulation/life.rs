//! The lives of processes: started, crashed, frozen, stopped, and started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use xc2_analyzer::pipeline::{self, Job, PipelineError, Pulse, Tallied, Tally};
use xc2_analyzer::store::Store;

use super::books::Books;
use super::bucket::{Bucket, BucketClient};
use super::process::{Process, Stage};
use super::queue::Server;
use super::queue_client::QueueClient;
use super::scenario::{Turn, What};
use super::store_client::StoreClient;
use super::world::World;

/// After it was told to let go of everything, a pipeline says its last words to the queue, twice, and ends.
const LETTING_GO: Duration = Duration::from_secs(6);

/// What all processes share.
pub struct Life {
    pub world: Arc<World>,
    pub server: Arc<Server>,
    pub bucket: Arc<Bucket>,
    pub store: Arc<dyn Store>,
    pub books: Arc<dyn Books>,
    pub job: Arc<Job>,
    /// The schedule is over: stop, and do not start again.
    pub over: CancellationToken,
}

type Run = JoinHandle<Result<Tallied, PipelineError>>;

/// When a stopping process has to let go, and when it has to be gone.
#[derive(Clone, Copy, Default)]
struct Deadlines {
    let_go: Option<Instant>,
    gone: Option<Instant>,
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Life {
    /// One place for a process: when one has ended, another takes its place, until all is over.
    pub async fn live(self: Arc<Life>, place: usize) {
        let of_place = self.world.scenario.turns.iter().filter(|turn| turn.process == place);
        let mut turns: Vec<Turn> = of_place.rev().copied().collect();
        while !self.over.is_cancelled() {
            self.live_once(&mut turns).await;
            let pause = self.world.rng(|rng| rng.u64(100..20_000));
            tokio::select! {
                biased;
                () = self.over.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
    }

    fn start(&self) -> (Arc<Process>, Run) {
        let process = Arc::new(Process::new(self.world.number(), self.world.is_calm()));
        self.world.say(|| format!("{process} starts"));
        let queue = QueueClient { server: self.server.clone(), process: process.clone() };
        let objects = BucketClient { bucket: self.bucket.clone(), process: process.clone() };
        let store = StoreClient {
            world: self.world.clone(),
            process: process.clone(),
            plan: self.job.rules.plan.clone(),
            store: self.store.clone(),
            books: self.books.clone(),
        };
        let shutdown = process.shutdown.clone();
        let (job, tally) = (self.job.clone(), Arc::new(Tally::default()));
        let pulse = Arc::new(Pulse::default());
        let run = pipeline::run(Arc::new(queue), Arc::new(objects), Arc::new(store), job, tally, pulse, shutdown);
        (process, tokio::spawn(run))
    }

    async fn live_once(&self, turns: &mut Vec<Turn>) {
        let (process, mut run) = self.start();
        let mut deadlines = Deadlines::default();
        loop {
            let turn = turns.last().copied().filter(|_| !self.world.is_calm());
            tokio::select! {
                biased;
                ended = &mut run => return self.ended(&process, ended),
                () = at(deadlines.gone) => {
                    self.world.wrong(format!("{process} has let go of everything and does not end"));
                    return crash(&process, run).await;
                }
                () = at(deadlines.let_go) => deadlines = self.let_go(&process),
                () = self.over.cancelled(), if !process.shutdown.is_stopping() => {
                    deadlines = self.stop(&process, Duration::from_secs(60));
                }
                () = self.world.until(turn.map_or(Duration::MAX / 4, |turn| turn.at)), if turn.is_some() => {
                    turns.pop();
                    match turn.expect("awaited").what {
                        What::Crash => {
                            self.world.say(|| format!("{process} crashes"));
                            self.world.happened("crashes");
                            return crash(&process, run).await;
                        }
                        What::Stop { .. } if process.shutdown.is_stopping() => {}
                        What::Stop { grace } => deadlines = self.stop(&process, grace),
                        What::Freeze { lasting } => {
                            self.freeze(&process, lasting).await;
                            // It was not run meanwhile: its own clock goes on from here.
                            deadlines.gone = deadlines.gone.map(|gone| gone.max(Instant::now() + LETTING_GO));
                        }
                    }
                }
            }
        }
    }

    fn stop(&self, process: &Process, grace: Duration) -> Deadlines {
        self.world.say(|| format!("{process} is asked to stop"));
        self.world.happened("stops");
        process.shutdown.stop();
        Deadlines { let_go: Some(Instant::now() + grace), gone: None }
    }

    fn let_go(&self, process: &Process) -> Deadlines {
        self.world.say(|| format!("{process} has to let go"));
        process.set(Stage::Abandoned);
        process.shutdown.abandon();
        Deadlines { let_go: None, gone: Some(Instant::now() + LETTING_GO) }
    }

    async fn freeze(&self, process: &Arc<Process>, lasting: Duration) {
        self.world.say(|| format!("{process} is frozen"));
        self.world.happened("freezes");
        process.freeze(true);
        tokio::time::sleep(lasting).await;
        self.server.excuse_all_of(process, "it was frozen");
        process.freeze(false);
        self.world.say(|| format!("{process} goes on"));
    }

    fn ended(&self, process: &Process, ended: Result<Result<Tallied, PipelineError>, JoinError>) {
        let asked = process.shutdown.is_stopping();
        self.world.say(|| match &ended {
            Ok(Ok(tallied)) => format!("{process} ends: {tallied:?}"),
            Ok(Err(error)) => format!("{process} gives up: {error}"),
            Err(error) => format!("{process} panics: {error}"),
        });
        match ended {
            Ok(Ok(_)) if asked => {}
            // Of its own accord, because it can't go on. It may notice some time after the call that failed: what it began
            // before that comes first.
            Ok(Err(PipelineError::Store(_) | PipelineError::Fetch(_))) if !process.born_in_calm => {
                self.world.happened("processes that could not go on");
            }
            other => self.world.wrong(format!("{process} ended by itself: {:?}", other.map(|ended| ended.map(drop)))),
        }
        process.set(Stage::Ended);
        self.server.check_after_end(process);
    }
}

/// Everything in the process' memory is gone; what it has asked for may still be carried out.
async fn crash(process: &Process, run: Run) {
    process.set(Stage::Crashed);
    run.abort();
    let _ = run.await;
}
