//! The scenario of a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::scenario::{
    Access, Body, Content, Dependency, Fault, MessagePlan, ObjectPlan, Outage, Scenario, Settings, Turn, Upload, What,
    seconds,
};

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
