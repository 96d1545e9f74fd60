//! What happens in one schedule, as data: what is announced, what is in the bucket, who runs, what fails. Everything that
//! is not written here (when exactly a call fails, in which order messages come) follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    pub const ALL: [Dependency; 4] = [Self::Queue, Self::Objects, Self::Database, Self::Metadata];
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident <= $most:literal,)+) => {
        /// What can go wrong with one call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// Each with its highest rate of a thousand.
            pub const ALL: &[(Fault, u32)] = &[$((Fault::$name, $most),)+];
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
    ReleaseEntryFails <= 300,
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
    /// The uploads that some message announces. The others are not in the schedule at all.
    pub fn announced(&self) -> BTreeSet<(usize, usize)> {
        let uploads = |message: &MessagePlan| match &message.body {
            Body::Uploads { uploads, .. } => uploads.clone(),
            Body::Test | Body::Unreadable => Vec::new(),
        };
        self.messages.iter().flat_map(uploads).collect()
    }
}
