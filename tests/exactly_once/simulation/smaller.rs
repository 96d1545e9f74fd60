//! What may be left out of a scenario that fails.

use super::scenario::{Body, Scenario};

impl Scenario {
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
