//! Copies of failed objects, made before their listings are committed: a crash in between leaves a copy without a listing,
//! never a listing that promises a copy which is not there, and the redelivered object is copied to the same place again.
//! A copy is never a condition for progress: after a few attempts the listing says that there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::retry::Waits;
use crate::model::{Copied, FailedObject};
use crate::source::{CopyError, Fetch};

/// Makes them, for workers and writer alike.
pub struct Copies {
    objects: Arc<dyn Fetch>,
    /// Until when the target is not asked, and what it was last heard of it.
    resting: Mutex<Option<(Instant, String)>>,
}

impl Copies {
    const ATTEMPTS_MAX: u32 = 3;
    /// For all attempts together: a commit may wait for it.
    const TIME_MAX: Duration = Duration::from_secs(20);
    /// A target that did not answer is left alone for so long: not every failed object is to wait for it.
    const REST: Duration = Duration::from_secs(60);

    pub fn new(objects: Arc<dyn Fetch>) -> Self {
        Self { objects, resting: Mutex::default() }
    }

    /// Copies what was read of `failed`, and notes in it what came of that. Of what was not read there is nothing to copy.
    pub async fn make(&self, failed: &mut FailedObject) {
        let was_read = failed.generation.as_ref().is_some_and(|generation| generation.content_hash != [0; 32]);
        if !was_read || failed.copy != Copied::Not {
            return;
        }
        failed.copy = match self.tried(failed).await {
            Ok(None) => Copied::Not,
            Ok(Some(address)) => Copied::To(address),
            Err(problem) => {
                warn!(bucket = failed.bucket, key = failed.key, problem, "failed object not copied");
                Copied::Failed { problem }
            }
        };
    }

    async fn tried(&self, failed: &FailedObject) -> Result<Option<String>, String> {
        if let Some((until, problem)) = self.resting().clone()
            && Instant::now() < until
        {
            return Err(format!("not tried: a moment ago the target could not be reached ({problem})"));
        }
        let late = || CopyError { is_passing: true, problem: format!("no copy within {:?}", Self::TIME_MAX) };
        let answer = tokio::time::timeout(Self::TIME_MAX, self.attempts(failed)).await.unwrap_or_else(|_| Err(late()));
        *self.resting() = match &answer {
            Err(error) if error.is_passing => Some((Instant::now() + Self::REST, error.problem.clone())),
            Ok(_) | Err(_) => None,
        };
        answer.map_err(|error| error.problem)
    }

    async fn attempts(&self, failed: &FailedObject) -> Result<Option<String>, CopyError> {
        let mut waits = Waits::new();
        loop {
            match self.objects.set_aside(failed).await {
                Err(error) if error.is_passing && waits.attempts() + 1 < Self::ATTEMPTS_MAX => waits.wait().await,
                answer => return answer,
            }
        }
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        // Nothing panics while it holds the lock.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::model::{FailureKind, Generation, ObjectRef};
    use crate::source::{FetchError, Fetched};

    /// A target that never answers, and is slow in that.
    #[derive(Default)]
    struct Silent(AtomicU32);

    #[async_trait]
    impl Fetch for Silent {
        async fn fetch(&self, _: &ObjectRef, _: u64) -> Result<Fetched, FetchError> {
            unreachable!("nothing is read here")
        }

        async fn probe(&self, _: &str) -> Result<(), FetchError> {
            Ok(())
        }

        async fn set_aside(&self, _: &FailedObject) -> Result<Option<String>, CopyError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(4)).await;
            Err(CopyError { is_passing: true, problem: "no answer".into() })
        }
    }

    fn failed(content_hash: [u8; 32]) -> FailedObject {
        FailedObject {
            bucket: "logs".into(),
            key: "a".into(),
            generation: Some(Generation { content_hash, ..Generation::default() }),
            kind: FailureKind::Gzip,
            reason: "it is broken".into(),
            attempts: 1,
            message_body: "{}".into(),
            trace: Default::default(),
            copy: Copied::Not,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn target_that_does_not_answer_is_asked_a_few_times_and_then_left_alone_for_a_while() {
        let silent = Arc::new(Silent::default());
        let copies = Copies::new(silent.clone());
        let began = Instant::now();
        let mut first = failed([1; 32]);
        copies.make(&mut first).await;
        assert_eq!(first.copy, Copied::Failed { problem: "no answer".into() });
        assert_eq!(silent.0.load(Ordering::Relaxed), Copies::ATTEMPTS_MAX);
        assert!(began.elapsed() <= Copies::TIME_MAX, "{:?}", began.elapsed());

        let began = Instant::now();
        let mut second = failed([2; 32]);
        copies.make(&mut second).await;
        assert!(matches!(second.copy, Copied::Failed { .. }));
        assert_eq!((silent.0.load(Ordering::Relaxed), began.elapsed()), (Copies::ATTEMPTS_MAX, Duration::ZERO));

        tokio::time::advance(Copies::REST).await;
        copies.make(&mut failed([3; 32])).await;
        assert_eq!(silent.0.load(Ordering::Relaxed), 2 * Copies::ATTEMPTS_MAX);
    }

    #[tokio::test]
    async fn what_was_not_read_is_not_copied() {
        let silent = Arc::new(Silent::default());
        let mut unread = failed([0; 32]);
        Copies::new(silent.clone()).make(&mut unread).await;
        assert_eq!((unread.copy, silent.0.load(Ordering::Relaxed)), (Copied::Not, 0));
    }
}
