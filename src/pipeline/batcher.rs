//! Collects keys into batches: as many as a worker takes together, or what came within the wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pulse::Part;
use super::work::{Batch, Work};

/// Runs until the channel of keys is closed and empty, or no worker is left.
pub async fn run(
    mut keys: mpsc::Receiver<Work>,
    batches: mpsc::Sender<Batch>,
    size: usize,
    wait: Duration,
    pulse: Arc<Part>,
) {
    let mut number = 0u64;
    while let Some(first) = keys.recv().await {
        let deadline = Instant::now() + wait;
        let mut works = vec![first];
        let gathering = pulse.step("gathering a batch", wait);
        while works.len() < size {
            match tokio::time::timeout_at(deadline, keys.recv()).await {
                Ok(Some(work)) => works.push(work),
                Ok(None) | Err(_) => break,
            }
        }
        drop(gathering);
        number += 1;
        if batches.send(Batch { id: batch_id(number), works }).await.is_err() {
            break;
        }
    }
}

/// Distinct over processes and restarts: time, process, number.
fn batch_id(number: u64) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3f");
    format!("{now}Z-{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Announced, ObjectRef};
    use crate::pipeline::Pulse;

    fn work(key: &str) -> Work {
        let object = ObjectRef { bucket: "b".into(), key: key.into(), announced: Announced::default() };
        let (received, event_at, nothing) = (Instant::now(), None, std::sync::Arc::<str>::from(""));
        let (message_id, message_body) = (nothing.clone(), nothing);
        Work { object, deliveries: vec![], attempt: 1, message_id, message_body, received, event_at }
    }

    #[tokio::test(start_paused = true)]
    async fn batch_is_full_or_what_came_within_the_wait() {
        let (keys, keys_in) = mpsc::channel(10);
        let (batches, mut batches_out) = mpsc::channel(10);
        let batcher = tokio::spawn(run(keys_in, batches, 3, Duration::from_secs(1), Pulse::default().part("batcher")));
        for key in ["1", "2", "3", "4"] {
            keys.send(work(key)).await.unwrap();
        }
        let sizes = [batches_out.recv().await.unwrap().works.len(), batches_out.recv().await.unwrap().works.len()];
        assert_eq!(sizes, [3, 1]);
        keys.send(work("5")).await.unwrap();
        drop(keys);
        assert_eq!(batches_out.recv().await.unwrap().works.len(), 1, "what is left goes on at the end");
        assert!(batches_out.recv().await.is_none());
        batcher.await.unwrap();
    }
}
