//! When a day is over: with a clock that the test turns.

use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use xc2_analyzer::config::{self, Config};
use xc2_analyzer::notice::{Channels, Dispatcher, Memory, OutageCount};
use xc2_analyzer::store::SqlStore;

use crate::corpus::Corpus;
use crate::receiver::{Answer, Receiver};
use crate::world::{Kind, World};

struct Turned {
    dispatcher: Dispatcher,
    memory: Memory,
    now: Arc<Mutex<Timestamp>>,
    outages: Arc<Mutex<OutageCount>>,
}

impl Turned {
    async fn start(world: &World, receiver: &Receiver, now: Timestamp) -> Turned {
        let text = format!(
            "[store]\nurl = \"{}\"\n[notice]\nwebhook = \"{}\"\nquiet = \"2h\"\nmax_age = \"72h\"\n",
            world.database.url(),
            receiver.url()
        );
        let config: Config = config::load_text(&text, std::iter::empty()).unwrap();
        let store = Arc::new(SqlStore::open(&config.store, config.plan.clone()).await.unwrap());
        let channels = Channels::open(&config.notice, &config.source_or_none()).await.unwrap();
        let (now, outages) = (Arc::new(Mutex::new(now)), Arc::<Mutex<OutageCount>>::default());
        let (clock, counted) = (now.clone(), outages.clone());
        let dispatcher = Dispatcher {
            store,
            channels,
            settings: config.notice.clone(),
            zone: TimeZone::get("Asia/Seoul").unwrap(),
            outages: Box::new(move || *counted.lock().unwrap()),
            clock: Box::new(move || *clock.lock().unwrap()),
        };
        let memory = dispatcher.begin();
        Turned { dispatcher, memory, now, outages }
    }

    async fn at(&mut self, moment: Timestamp) {
        *self.now.lock().unwrap() = moment;
        self.dispatcher.turn(&mut self.memory, &CancellationToken::new()).await.unwrap();
    }
}

/// A database in which one object of today (in Seoul) was counted a moment ago; that moment and the end of the day.
async fn counted_today(name: &str) -> (World, Timestamp, Timestamp) {
    let corpus = Corpus::make(&["--seed", "73", "--files", "1", "--rows", "5", "--no-broken"]);
    let mut world = World::new(name, Kind::Sqlite, &corpus).await;
    let now = Timestamp::now();
    let program = format!(
        "import pickle, sys; sys.stdout.buffer.write(pickle.dumps([{{'ts': {}, 'mid': 'm', 'imp': 5}}]))",
        now.as_second()
    );
    let pickled = std::process::Command::new(crate::corpus::python()).args(["-c", &program]).output().unwrap().stdout;
    let folder = world.dir.path().join("logs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("today.pkl"), pickled).unwrap();
    world.set("XC2__SOURCE__URL", folder.to_str().unwrap());
    world.must(&["run"]);
    let today = now.to_zoned(TimeZone::get("Asia/Seoul").unwrap());
    let end = today.tomorrow().unwrap().start_of_day().unwrap().timestamp();
    (world, now, end)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn day_is_told_when_it_is_over_and_has_been_quiet_since() {
    let (world, counted, end) = counted_today("notices-clock").await;
    let receiver = Receiver::start(Answer::Ok);
    let mut turned = Turned::start(&world, &receiver, counted).await;
    turned.at(counted + SignedDuration::from_secs(1)).await;
    turned.at(end - SignedDuration::from_secs(1)).await;
    // Quiet is counted from the later of the last commit and the end of the day, in the platform's zone.
    turned.at(end + hours(2) - SignedDuration::from_secs(1)).await;
    assert_eq!(receiver.requests().len(), 0, "told too early");
    turned.at(end + hours(2) + SignedDuration::from_mins(1)).await;
    turned.at(end + hours(3)).await;
    turned.at(end + hours(20)).await;
    let notices = receiver.notices();
    assert_eq!(notices.len(), 1, "once");
    assert_eq!((&notices[0]["revision"], &notices[0]["totals"]["impressions"]["total"]), (&1.into(), &5.into()));
}

#[tokio::test]
async fn silence_of_an_outage_or_of_a_start_says_nothing() {
    let (world, _, end) = counted_today("notices-silence").await;
    let receiver = Receiver::start(Answer::Ok);
    // The daemon starts long after the day: whatever came meanwhile has not been looked at.
    let mut turned = Turned::start(&world, &receiver, end + hours(10)).await;
    turned.at(end + hours(11)).await;
    *turned.outages.lock().unwrap() = OutageCount { begun: 1, ended: 0 };
    turned.at(end + hours(13)).await;
    turned.at(end + hours(20)).await;
    *turned.outages.lock().unwrap() = OutageCount { begun: 1, ended: 1 };
    turned.at(end + hours(21)).await;
    turned.at(end + hours(22)).await;
    assert_eq!(receiver.requests().len(), 0);
    turned.at(end + hours(23) + SignedDuration::from_secs(1)).await;
    assert_eq!(receiver.notices().len(), 1);
}

#[tokio::test]
async fn day_of_long_ago_is_not_told() {
    let (world, _, end) = counted_today("notices-old").await;
    let receiver = Receiver::start(Answer::Ok);
    let mut turned = Turned::start(&world, &receiver, end + hours(96)).await;
    turned.at(end + hours(99)).await;
    assert_eq!(receiver.requests().len(), 0);
}
