use jiff::Timestamp;

use super::*;
use crate::model::delivery::Content;
use crate::model::{Delivery, Receipt};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn step_that_turns_takes_as_long_as_it_needs() {
    let pulse = Pulse::default();
    let part = pulse.part("worker 1");
    let step = part.step("decoding an object", Bounds::DECODE);
    for _ in 0..100 {
        tokio::time::sleep(Bounds::DECODE).await;
        assert_eq!(pulse.stalled(Duration::ZERO), None);
        part.turn();
    }
    tokio::time::sleep(Bounds::DECODE + PATIENCE).await;
    assert_eq!(pulse.stalled(PATIENCE), None, "not before patience is over");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stall = pulse.stalled(PATIENCE).unwrap().to_string();
    assert_eq!(stall, "worker 1 is stalled: decoding an object for 361 s, which takes 300 s at most");
    drop(step);
    tokio::time::sleep(HOUR).await;
    assert_eq!(pulse.stalled(Duration::ZERO), None, "a part that rests is not to blame");
}

#[tokio::test(start_paused = true)]
async fn held_delivery_that_nobody_works_on_is_a_stall_of_the_pipeline() {
    let listing = Arc::new(crate::source::Listing::of(Vec::new()));
    let deliveries = Deliveries::new(crate::source::Leases::start(listing, HOUR), 1);
    let deliveries = Arc::new(deliveries);
    let (pulse, place) = (Pulse::default(), deliveries.places(1).await.remove(0));
    pulse.watch(&deliveries, &Arc::new(Outages::new(Arc::default())));
    let poller = pulse.part("poller");
    let content = Content::Objects(Vec::new());
    let (message_id, receipt, received_at) = ("1".to_owned(), Receipt("1".into()), Timestamp::UNIX_EPOCH);
    let delivery = Delivery { message_id, receipt, attempt: 1, received_at, sent_at: None, body: "".into(), content };
    let number = deliveries.open(&delivery, 1, place);
    tokio::time::sleep(Bounds::ALL_REST + PATIENCE + Duration::from_secs(1)).await;
    assert_eq!(pulse.stalled(PATIENCE).unwrap().part, "pipeline");
    drop(poller.step("receiving from the queue", HOUR));
    assert_eq!(pulse.stalled(PATIENCE), None, "somebody moved");
    tokio::time::sleep(HOUR).await;
    deliveries.settle(&[number]);
    assert_eq!(pulse.stalled(PATIENCE), None, "nothing is held");
}
