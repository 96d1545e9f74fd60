//! The queue redelivers, forgets, throttles and replays.
