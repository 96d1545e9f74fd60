//! Schedules that went wrong once, written out, so that they stay what they were when the generator changes.

use std::collections::BTreeMap;

use rstest::rstest;

use super::scenario::{
    Access, Body, Content, Dependency, MessagePlan, ObjectPlan, Outage, Scenario, Settings, Turn, Upload, What, seconds,
};
use super::schedule::{Database, run_one};

/// One message of `objects` objects at the start, one process, nothing that fails.
fn quiet(objects: usize) -> Scenario {
    let upload = Upload { content: Content::Rows { good: 2, bad: 0 }, at: seconds(0) };
    let object = ObjectPlan { uploads: vec![upload], versioned: false, access: Access::Granted };
    let uploads = (0..objects).map(|object| (object, 0)).collect();
    Scenario {
        seed: 0,
        settings: Settings {
            visibility: seconds(30),
            receives_max: None,
            batch_size: 10,
            workers: 2,
            deliveries_max: 60,
            merge_objects_max: 100,
            merge_cells_max: 1_000_000,
            quarantine_overwritten: true,
            fetch_attempts_max: 4,
            fetch_patience: seconds(900),
        },
        objects: vec![object; objects],
        messages: vec![MessagePlan { at: seconds(0), body: Body::Uploads { uploads, through_sns: false } }],
        processes: 1,
        turns: Vec::new(),
        outages: Vec::new(),
        faults: BTreeMap::new(),
        trouble: seconds(300),
        replayed: false,
    }
}

/// The batcher waited for ever for workers that had let go: the process never ended and kept its messages hidden.
fn stop_while_more_is_queued_than_the_workers_take() -> Scenario {
    let mut scenario = quiet(8);
    (scenario.settings.batch_size, scenario.settings.workers) = (1, 1);
    scenario.outages = vec![Outage { of: Dependency::Objects, from: seconds(0), till: seconds(200) }];
    scenario.turns = vec![Turn { at: seconds(60), process: 0, what: What::Stop { grace: seconds(25) } }];
    scenario
}

/// A poller that the queue did not answer went on asking, though the metadata had gone out of reach meanwhile.
fn metadata_goes_while_the_queue_does_not_answer() -> Scenario {
    let mut scenario = quiet(1);
    let outage = |of, from, till| Outage { of, from: seconds(from), till: seconds(till) };
    // The metadata is read again after five minutes.
    scenario.outages = vec![outage(Dependency::Queue, 290, 400), outage(Dependency::Metadata, 250, 500)];
    scenario.trouble = seconds(600);
    scenario
}

#[rstest]
#[case(quiet(3))]
#[case(stop_while_more_is_queued_than_the_workers_take())]
#[case(metadata_goes_while_the_queue_does_not_answer())]
fn schedule_that_went_wrong_once_goes_well(#[case] scenario: Scenario) {
    let outcome = run_one(&scenario, Database::Memory, true);
    let (events, violations) = (outcome.events.join("\n"), outcome.violations);
    assert!(violations.is_empty(), "{events}\n{violations:#?}");
}
