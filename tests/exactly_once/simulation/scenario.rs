//! What happens in one schedule, as data: what is announced, what is in the bucket, who runs, what fails. Everything that
//! is not written here (when exactly a call fails, in which order messages come) follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

/// One schedule.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub settings: Settings,
    pub objects: Vec<ObjectPlan>,
    pub messages: Vec<MessagePlan>,
    /// Pipelines at once on the same queue and store.
    pub processes: usize,
    pub turns: Vec<Turn>,
    pub outages: Vec<Outage>,
    /// How often, of a thousand calls that it can happen to, each fault happens.
    pub faults: BTreeMap<Fault, u32>,
    /// When all trouble ends: from here on everything must be drained.
    pub trouble: Duration,
    /// Everything is announced once more, long after it was drained.
    pub replayed: bool,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub visibility: Duration,
    /// After how many receipts a message becomes a dead letter.
    pub receives_max: Option<u32>,
    pub batch_size: usize,
    pub workers: usize,
    pub deliveries_max: usize,
    pub merge_objects_max: usize,
    pub merge_cells_max: usize,
    pub quarantine_overwritten: bool,
    pub fetch_attempts_max: u32,
    pub fetch_patience: Duration,
}

/// One key of the bucket.
#[derive(Clone, Debug)]
pub struct ObjectPlan {
    /// What is uploaded under it, in this order; every upload is announced.
    pub uploads: Vec<Upload>,
    /// Whether the bucket keeps and announces versions: then every upload stays readable.
    pub versioned: bool,
    pub access: Access,
}

#[derive(Clone, Copy, Debug)]
pub struct Upload {
    pub content: Content,
    pub at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Log rows, of which some are rejected.
    Rows {
        good: u32,
        bad: u32,
    },
    /// So many that the limit of rejects is passed.
    MostlyBad,
    Truncated,
    NoRows,
    TooLarge,
    /// Rows whose sums the database refuses.
    Unfit,
}

/// How the storage answers for one key, beside its outages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Granted,
    Never,
    Denied,
    Archived,
    /// It fails for ever, though the storage answers for others.
    Broken,
    /// It is announced before it can be read.
    Late {
        until: Duration,
    },
}

#[derive(Clone, Debug)]
pub struct MessagePlan {
    pub at: Duration,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// Announces these uploads: object, upload. No object twice.
    Uploads {
        uploads: Vec<(usize, usize)>,
        through_sns: bool,
    },
    /// A notification without objects.
    Test,
    Unreadable,
}

/// Something that is done to a process.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub at: Duration,
    pub process: usize,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Gone between two instructions, with everything in its memory; another takes its place.
    Crash,
    /// Asked to stop, with this grace before it has to let go.
    Stop { grace: Duration },
    /// Not run for a while, as a machine that is suspended: its heartbeats stop, then it goes on.
    Freeze { lasting: Duration },
}

#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub of: Dependency,
    pub from: Duration,
    pub till: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    Queue,
    Objects,
    Database,
    Metadata,
}

impl Dependency {
    const ALL: [Dependency; 4] = [Self::Queue, Self::Objects, Self::Database, Self::Metadata];
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident <= $most:literal,)+) => {
        /// What can go wrong with one call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// Each with its highest rate of a thousand.
            const ALL: &[(Fault, u32)] = &[$((Fault::$name, $most),)+];
        }
    };
}

faults! {
    ReceiveFails <= 200,
    /// The messages are hidden, and nobody got them.
    ReceiveLost <= 100,
    ReceiveStalls <= 50,
    /// A message that is hidden is delivered all the same.
    DeliveredTwice <= 100,
    /// A message that was deleted is delivered all the same.
    DeletedInVain <= 50,
    ExtendFails <= 300,
    ExtendEntryFails <= 200,
    ExtendLost <= 200,
    ExtendStalls <= 200,
    AcknowledgeFails <= 400,
    AcknowledgeEntryFails <= 300,
    AcknowledgeLost <= 300,
    AcknowledgeStalls <= 100,
    ReleaseFails <= 500,
    /// The storage fails for one object, and answers for others.
    FetchFails <= 300,
    FetchStalls <= 100,
    /// No object can be read by anybody: the process has to give up.
    FetchRefused <= 10,
    /// Nothing reached the database.
    CommitFails <= 300,
    CommitConflicts <= 300,
    /// The connection is lost between two statements.
    CommitCut <= 300,
    /// It is committed, and nobody knows.
    CommitLost <= 300,
    CommitStalls <= 200,
    /// The transaction is carried out even when its process is no more.
    CommitOutlives <= 500,
    QuarantineFails <= 300,
    QuarantineLost <= 300,
    MetadataFails <= 200,
    /// The metadata tables have no rows for a moment.
    MetadataEmpty <= 200,
    /// The database refuses us: the process has to give up.
    StoreRefused <= 10,
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Scenario {
        let rng = &mut Rng::with_seed(seed);
        let trouble = seconds(rng.u64(60..1200));
        let objects: Vec<ObjectPlan> = (0..rng.usize(1..9)).map(|_| object(rng, trouble)).collect();
        let processes = [1, 1, 2, 3][rng.usize(0..4)];
        Scenario {
            seed,
            settings: settings(rng),
            messages: messages(rng, &objects, trouble),
            objects,
            processes,
            turns: turns(rng, processes, trouble),
            outages: outages(rng, trouble),
            faults: faults(rng),
            trouble,
            replayed: rng.u8(0..4) == 0,
        }
    }

    /// Smaller scenarios of the same seed, the much smaller ones first.
    pub fn smaller(&self) -> Vec<Scenario> {
        let mut smaller = Vec::new();
        let mut with = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = self.clone();
            change(&mut scenario);
            smaller.push(scenario);
        };
        if !self.faults.is_empty() {
            with(&|scenario| scenario.faults.clear());
        }
        for kept in halves(self.messages.len()) {
            with(&|scenario| keep(&mut scenario.messages, &kept));
        }
        for kept in halves(self.turns.len()) {
            with(&|scenario| keep(&mut scenario.turns, &kept));
        }
        for kept in halves(self.outages.len()) {
            with(&|scenario| keep(&mut scenario.outages, &kept));
        }
        for fault in self.faults.keys() {
            with(&|scenario| {
                scenario.faults.remove(fault);
            });
        }
        if self.processes > 1 {
            with(&|scenario| {
                scenario.processes -= 1;
                scenario.turns.retain(|turn| turn.process < scenario.processes);
            });
        }
        if self.replayed {
            with(&|scenario| scenario.replayed = false);
        }
        for (at, message) in self.messages.iter().enumerate() {
            if let Body::Uploads { uploads, .. } = &message.body {
                for gone in (0..uploads.len()).filter(|_| uploads.len() > 1) {
                    with(&|scenario| {
                        if let Body::Uploads { uploads, .. } = &mut scenario.messages[at].body {
                            uploads.remove(gone);
                        }
                    });
                }
            }
        }
        smaller
    }

    /// The uploads that some message announces. The others are not in the schedule at all.
    pub fn announced(&self) -> BTreeSet<(usize, usize)> {
        let uploads = |message: &MessagePlan| match &message.body {
            Body::Uploads { uploads, .. } => uploads.clone(),
            Body::Test | Body::Unreadable => Vec::new(),
        };
        self.messages.iter().flat_map(uploads).collect()
    }
}

/// Which elements of a list to keep: its halves, then all but one.
fn halves(length: usize) -> Vec<Vec<usize>> {
    let without = |gone: std::ops::Range<usize>| (0..length).filter(|at| !gone.contains(at)).collect::<Vec<_>>();
    let mut kept = Vec::new();
    if length > 2 {
        kept.extend([without(0..length / 2), without(length / 2..length)]);
    }
    kept.extend((0..length).map(|at| without(at..at + 1)));
    kept
}

fn keep<T: Clone>(list: &mut Vec<T>, kept: &[usize]) {
    *list = kept.iter().map(|&at| list[at].clone()).collect();
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        visibility: seconds([9, 30, 120][rng.usize(0..3)]),
        receives_max: [None, Some(3), Some(10)][rng.usize(0..3)],
        batch_size: [1, 3, 10][rng.usize(0..3)],
        workers: rng.usize(1..4),
        deliveries_max: [1, 4, 60][rng.usize(0..3)],
        merge_objects_max: [1, 3, 100][rng.usize(0..3)],
        merge_cells_max: [1, 1_000_000][rng.usize(0..2)],
        quarantine_overwritten: rng.bool(),
        fetch_attempts_max: [2, 4][rng.usize(0..2)],
        fetch_patience: seconds([1, 900][rng.usize(0..2)]),
    }
}

fn object(rng: &mut Rng, trouble: Duration) -> ObjectPlan {
    let access = match rng.u8(0..30) {
        0 => Access::Never,
        1 => Access::Denied,
        2 => Access::Archived,
        3 => Access::Broken,
        4 => Access::Late { until: time(rng, trouble) },
        _ => Access::Granted,
    };
    let first = Upload { content: content(rng), at: Duration::ZERO };
    let mut uploads = vec![first];
    if rng.u8(0..6) == 0 {
        uploads.push(Upload { content: content(rng), at: time(rng, trouble) });
    }
    ObjectPlan { uploads, versioned: rng.u8(0..3) == 0, access }
}

fn content(rng: &mut Rng) -> Content {
    match rng.u8(0..20) {
        0 => Content::MostlyBad,
        1 => Content::Truncated,
        2 => Content::NoRows,
        3 => Content::TooLarge,
        4 => Content::Unfit,
        5 => Content::Rows { good: 0, bad: 0 },
        6 => Content::Rows { good: 30, bad: 1 },
        _ => Content::Rows { good: rng.u32(1..6), bad: 0 },
    }
}

/// Every upload is announced at least once after it was made, and some again, alone or with others.
fn messages(rng: &mut Rng, objects: &[ObjectPlan], trouble: Duration) -> Vec<MessagePlan> {
    let mut announcements: Vec<(usize, usize)> =
        (0..objects.len()).flat_map(|object| (0..objects[object].uploads.len()).map(move |at| (object, at))).collect();
    let again: Vec<_> = announcements.iter().copied().filter(|_| rng.u8(0..3) == 0).collect();
    announcements.extend(again);
    rng.shuffle(&mut announcements);
    let mut messages = Vec::new();
    while !announcements.is_empty() {
        let wanted = [1, 1, 2, 4][rng.usize(0..4)].min(announcements.len());
        let mut uploads: Vec<(usize, usize)> = Vec::new();
        for announced in announcements.split_off(announcements.len() - wanted) {
            match uploads.iter().any(|(object, _)| *object == announced.0) {
                true => announcements.push(announced),
                false => uploads.push(announced),
            }
        }
        let made = uploads.iter().map(|&(object, at)| objects[object].uploads[at].at).max().unwrap_or_default();
        let at = if rng.bool() { made } else { made + time(rng, trouble.saturating_sub(made)) };
        messages.push(MessagePlan { at, body: Body::Uploads { uploads, through_sns: rng.u8(0..4) == 0 } });
    }
    if rng.u8(0..4) == 0 {
        messages.push(MessagePlan { at: time(rng, trouble), body: Body::Test });
    }
    if rng.u8(0..4) == 0 {
        messages.push(MessagePlan { at: time(rng, trouble), body: Body::Unreadable });
    }
    messages.sort_by_key(|message| message.at);
    messages
}

fn turns(rng: &mut Rng, processes: usize, trouble: Duration) -> Vec<Turn> {
    let number = [0, 0, 1, 3, 8][rng.usize(0..5)];
    let mut turns: Vec<Turn> = (0..number)
        .map(|_| {
            let what = match rng.u8(0..5) {
                0 | 1 => What::Crash,
                2 | 3 => What::Stop { grace: [Duration::ZERO, seconds(25)][rng.usize(0..2)] },
                _ => What::Freeze { lasting: seconds(rng.u64(1..300)) },
            };
            // Half of them early, when most is going on.
            let within = if rng.bool() { seconds(20) } else { trouble };
            Turn { at: time(rng, within), process: rng.usize(0..processes), what }
        })
        .collect();
    turns.sort_by_key(|turn| turn.at);
    turns
}

fn outages(rng: &mut Rng, trouble: Duration) -> Vec<Outage> {
    let mut outages = Vec::new();
    for of in Dependency::ALL {
        if rng.u8(0..4) == 0 {
            let from = time(rng, trouble);
            outages.push(Outage { of, from, till: from + seconds(rng.u64(1..600)) });
        }
    }
    outages
}

/// None at all in some schedules, a few or many kinds in others.
fn faults(rng: &mut Rng) -> BTreeMap<Fault, u32> {
    let of_ten = [0, 1, 3, 8][rng.usize(0..4)];
    let mut chosen = BTreeMap::new();
    for &(fault, most) in Fault::ALL {
        if rng.u32(0..10) < of_ten {
            chosen.insert(fault, rng.u32(1..=most));
        }
    }
    chosen
}

fn time(rng: &mut Rng, within: Duration) -> Duration {
    Duration::from_millis(rng.u64(0..=within.as_millis() as u64))
}
