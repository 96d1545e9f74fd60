//! How the pipeline is asked to end: first to stop taking work, then, when its grace is over, to let go of the rest.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long the end waits for a queue that does not answer: unacknowledged messages come back and count nothing.
pub const LAST_WORDS: Duration = Duration::from_secs(2);

/// Two requests, in this order. Cloning gives another handle to the same two.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Shutdown {
    /// Is asked whatever this one is asked, and may be asked more without this one.
    pub fn child(&self) -> Shutdown {
        Shutdown { stop: self.stop.child_token(), abandon: self.abandon.child_token() }
    }

    /// Take no new work; finish what is there.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Let go of whatever is unfinished: it is rolled back and returned to the queue.
    pub fn abandon(&self) {
        self.stop.cancel();
        self.abandon.cancel();
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Runs `work`, which tells the queue what is done already, a little beyond the moment when the rest is let go of.
    pub async fn with_last_words<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let too_late = async {
            self.abandon.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = too_late => None,
        }
    }

    /// Runs `work` unless the rest is to be let go of first. Dropping `work` in the middle is always safe: nothing is
    /// acknowledged that was not committed, and the ledger knows what was.
    pub async fn unless_abandoned<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // Work that is done at the very end still counts as done.
            biased;
            done = work => Some(done),
            () = self.abandon.cancelled() => None,
        }
    }
}

/// Lets go of everything when it is dropped, at an ordinary end as well as in a panic.
pub struct AbandonOnDrop(pub Shutdown);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
