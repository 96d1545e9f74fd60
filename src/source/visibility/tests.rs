use async_trait::async_trait;
use jiff::Timestamp;
use rstest::rstest;

use super::*;
use crate::model::delivery::Content;
use crate::source::queue::Received;

const VISIBILITY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    CallsFail,
    EntriesFail,
    Hangs,
    Panics,
}

/// A queue that really hides and shows: a receipt is good as long as its message has stayed hidden.
struct HidingQueue {
    visibility: Option<Duration>,
    /// By receipt: until when the message is hidden.
    hidden: Mutex<BTreeMap<String, Instant>>,
    /// The size of each batch that was extended, and when.
    calls: Mutex<Vec<(Instant, usize)>>,
    mood: Mutex<Mood>,
    /// How long one call takes.
    latency: Duration,
}

impl HidingQueue {
    fn new() -> Self {
        Self {
            visibility: Some(VISIBILITY),
            hidden: Mutex::default(),
            calls: Mutex::default(),
            mood: Mutex::new(Mood::Well),
            latency: Duration::from_millis(10),
        }
    }

    fn deliver(&self, number: u32) -> Delivery {
        let receipt = number.to_string();
        self.hidden.lock().unwrap().insert(receipt.clone(), Instant::now() + VISIBILITY);
        Delivery {
            message_id: receipt.clone(),
            receipt: Receipt(receipt.into()),
            attempt: 1,
            received_at: Timestamp::UNIX_EPOCH,
            sent_at: None,
            body: "".into(),
            content: Content::Objects(Vec::new()),
        }
    }

    fn shows(&self, delivery: &Delivery) -> bool {
        self.hidden.lock().unwrap()[&*delivery.receipt.0] <= Instant::now()
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[async_trait]
impl Queue for HidingQueue {
    async fn receive(&self, _room: usize) -> Result<Received, QueueError> {
        unreachable!("leases receive nothing")
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.calls.lock().unwrap().push((Instant::now(), receipts.len()));
        tokio::time::sleep(self.latency).await;
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Panics => panic!("of a test"),
            Mood::Hangs => std::future::pending().await,
            Mood::CallsFail => {
                return Err(QueueError::Unavailable { url: self.url().into(), problem: "down".into() });
            }
            Mood::Well | Mood::EntriesFail => {}
        }
        let mut hidden = self.hidden.lock().unwrap();
        let now = Instant::now();
        let outcome = |receipt: &Receipt| match hidden.get_mut(&*receipt.0) {
            Some(until) if *until > now && mood == Mood::EntriesFail => {
                ReceiptOutcome::Failed { problem: "busy".into() }
            }
            Some(until) if *until > now => {
                *until = now + VISIBILITY;
                ReceiptOutcome::Done
            }
            _ => ReceiptOutcome::Gone,
        };
        Ok(receipts.iter().map(outcome).collect())
    }

    async fn acknowledge(&self, _receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        unreachable!("leases acknowledge nothing")
    }

    async fn release(&self, _receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        unreachable!("leases release nothing")
    }

    fn visibility(&self) -> Option<Duration> {
        self.visibility
    }

    fn url(&self) -> &str {
        "hiding"
    }
}

fn start(queue: HidingQueue) -> (Arc<HidingQueue>, Leases) {
    let queue = Arc::new(queue);
    let leases = Leases::start(queue.clone(), Duration::from_secs(3600));
    (queue, leases)
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Looks every second for as long: a delivery that showed for a moment would have been received by another.
async fn stays_hidden(queue: &HidingQueue, delivery: &Delivery, for_seconds: u64) -> bool {
    for _ in 0..for_seconds {
        seconds(1).await;
        if queue.shows(delivery) {
            return false;
        }
    }
    true
}

#[tokio::test(start_paused = true)]
async fn heartbeat_that_panics_is_not_silent() {
    let (queue, leases) = start(HidingQueue::new());
    let stopped = leases.stopped();
    let _lease = leases.hold(&queue.deliver(1));
    *queue.mood.lock().unwrap() = Mood::Panics;
    tokio::time::timeout(VISIBILITY, stopped).await.expect("told before the delivery shows");
}

#[tokio::test(start_paused = true)]
async fn held_delivery_stays_hidden_and_a_dropped_one_shows() {
    let (queue, leases) = start(HidingQueue::new());
    let delivery = queue.deliver(1);
    let lease = leases.hold(&delivery);
    assert!(stays_hidden(&queue, &delivery, 3600).await);
    assert!(queue.calls() <= 3600 / 10 + 1, "every third of the visibility, not more often: {}", queue.calls());
    drop(lease);
    let calls = queue.calls();
    seconds(31).await;
    assert!(queue.shows(&delivery));
    assert_eq!(queue.calls(), calls, "nothing is extended after the drop");
}

#[tokio::test(start_paused = true)]
async fn delivery_held_after_a_pause_is_extended_too() {
    let (queue, leases) = start(HidingQueue::new());
    drop(leases.hold(&queue.deliver(1)));
    seconds(3600).await;
    assert_eq!(queue.calls(), 0);
    let delivery = queue.deliver(2);
    let _lease = leases.hold(&delivery);
    assert!(stays_hidden(&queue, &delivery, 100).await);
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_extended_in_batches() {
    let (queue, leases) = start(HidingQueue::new());
    let deliveries: Vec<Delivery> = (0..25).map(|number| queue.deliver(number)).collect();
    let _held: Vec<Lease> = deliveries.iter().map(|delivery| leases.hold(delivery)).collect();
    seconds(11).await;
    let sizes: Vec<usize> = queue.calls.lock().unwrap().iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert!(stays_hidden(&queue, &deliveries[24], 300).await);
}

#[tokio::test(start_paused = true)]
async fn lease_dropped_while_others_are_extended_is_not_extended_after_them() {
    let (queue, leases) = start(HidingQueue { latency: Duration::from_secs(2), ..HidingQueue::new() });
    let mut held: Vec<Lease> = (0..11).map(|number| leases.hold(&queue.deliver(number))).collect();
    seconds(11).await;
    assert_eq!(queue.calls(), 1, "the first ten are on their way");
    drop(held.pop());
    seconds(5).await;
    assert_eq!(queue.calls(), 1);
}

#[rstest]
#[case(Mood::CallsFail)]
#[case(Mood::EntriesFail)]
#[case(Mood::Hangs)]
#[tokio::test(start_paused = true)]
async fn passing_failures_are_bridged(#[case] mood: Mood) {
    let (queue, leases) = start(HidingQueue::new());
    let delivery = queue.deliver(1);
    let _lease = leases.hold(&delivery);
    for _ in 0..10 {
        *queue.mood.lock().unwrap() = mood;
        assert!(stays_hidden(&queue, &delivery, 6).await);
        *queue.mood.lock().unwrap() = Mood::Well;
        assert!(stays_hidden(&queue, &delivery, 20).await);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_of_an_outage_are_neither_rare_nor_frequent() {
    let (queue, leases) = start(HidingQueue::new());
    let delivery = queue.deliver(1);
    let _lease = leases.hold(&delivery);
    *queue.mood.lock().unwrap() = Mood::CallsFail;
    seconds(29).await;
    // From the tenth second on, every 1.25 to 2.5 seconds.
    assert!((7..=17).contains(&queue.calls()), "{}", queue.calls());
}

#[tokio::test(start_paused = true)]
async fn receipt_that_is_gone_is_let_go() {
    let (queue, leases) = start(HidingQueue::new());
    let (lost, kept) = (queue.deliver(1), queue.deliver(2));
    let _leases = (leases.hold(&lost), leases.hold(&kept));
    queue.hidden.lock().unwrap().insert("1".into(), Instant::now());
    seconds(15).await;
    assert_eq!(queue.calls.lock().unwrap()[0].1, 2);
    assert!(stays_hidden(&queue, &kept, 100).await);
    assert!(queue.calls.lock().unwrap()[1..].iter().all(|(_, size)| *size == 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_beyond_twelve_hours() {
    let (queue, leases) = start(HidingQueue::new());
    let delivery = queue.deliver(1);
    let began = Instant::now();
    let _lease = leases.hold(&delivery);
    seconds(13 * 3600).await;
    let last = queue.calls.lock().unwrap().last().unwrap().0 - began;
    let longest = Duration::from_secs(12 * 3600);
    assert!(last + VISIBILITY < longest && last + 3 * VISIBILITY > longest - Duration::from_secs(60), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn queue_without_visibility_is_left_alone() {
    let (queue, leases) = start(HidingQueue { visibility: None, ..HidingQueue::new() });
    let _lease = leases.hold(&queue.deliver(1));
    seconds(3600).await;
    assert_eq!(queue.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_extended_after_the_leases_are_dropped() {
    let (queue, leases) = start(HidingQueue::new());
    let delivery = queue.deliver(1);
    let _lease = leases.hold(&delivery);
    drop(leases);
    seconds(60).await;
    assert_eq!(queue.calls(), 0);
    assert!(queue.shows(&delivery));
}

#[test]
fn jitter_stays_between_half_and_whole() {
    let time = Duration::from_secs(8);
    let spread: Vec<Duration> = (0..200).map(|_| jittered(time)).collect();
    assert!(spread.iter().all(|jittered| (time / 2..=time).contains(jittered)));
    assert!(spread.iter().any(|jittered| *jittered != spread[0]));
}
