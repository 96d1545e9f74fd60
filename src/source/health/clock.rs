//! How far our clock is from those of AWS, from the `Date` of whatever they answered.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use jiff::{SignedDuration, Timestamp};

use crate::model::health::{HealthFact, HealthLevel, bad, good};

const NAME: &str = "clock";

/// A request's signature is refused when it is this old: of S3 after 15 minutes ("RequestTimeTooSkewed", S3 API
/// Reference), elsewhere after 5 (IAM User Guide, "Elements of an AWS API request signature").
const OFF_MAX: SignedDuration = SignedDuration::from_mins(5);
/// Nothing is refused yet, but a clock that is this wrong is not kept by anybody.
const OFF_WARNING: SignedDuration = SignedDuration::from_secs(30);

/// Looks at the answers of the clients that it is given to.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct ServerClock {
    /// The smallest difference seen, ours minus theirs: delays on the way only add to it.
    ahead: Arc<Mutex<Option<SignedDuration>>>,
}

impl ServerClock {
    fn answered(&self, date: &str, now: Timestamp) {
        let Ok(theirs) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) else { return };
        // A `Date` is cut to the second: on average it is half a second behind.
        let found = now.duration_since(theirs) - SignedDuration::from_millis(500);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.is_none_or(|known| found.abs() < known.abs()) {
            *ahead = Some(found);
        }
    }

    /// `None` when nobody answered.
    pub fn fact(&self) -> Option<HealthFact> {
        let ahead = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.map(fact)
    }
}

fn fact(ahead: SignedDuration) -> HealthFact {
    let off = SignedDuration::from_secs(ahead.abs().as_secs());
    let detail = match off.is_zero() {
        true => "ours and that of AWS agree to the second".to_owned(),
        false => format!("ours is {off:#} {} that of AWS", if ahead.is_positive() { "ahead of" } else { "behind" }),
    };
    let level = match () {
        () if off >= OFF_MAX => HealthLevel::Failure,
        () if off >= OFF_WARNING => HealthLevel::Warning,
        () => return good(NAME, detail),
    };
    let advice = "set this machine's clock by NTP: AWS refuses requests that are signed 5 minutes off (S3: 15)";
    bad(NAME, level, detail, advice).fixed_by("sudo timedatectl set-ntp true")
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.answered(date, Timestamp::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("Mon, 10 Jun 2024 06:13:20 GMT", HealthLevel::Ok, "agree to the second")]
    #[case("Mon, 10 Jun 2024 06:13:10 GMT", HealthLevel::Ok, "ours is 10s ahead of that of AWS")]
    #[case("Mon, 10 Jun 2024 06:14:30 GMT", HealthLevel::Warning, "ours is 1m 9s behind that of AWS")]
    #[case("Mon, 10 Jun 2024 06:00:00 GMT", HealthLevel::Failure, "ours is 13m 20s ahead of that of AWS")]
    fn date_of_an_answer_tells_how_far_the_clock_is_off(
        #[case] date: &str,
        #[case] level: HealthLevel,
        #[case] detail: &str,
    ) {
        let clock = ServerClock::default();
        clock.answered(date, "2024-06-10T06:13:20.9Z".parse().unwrap());
        let fact = clock.fact().unwrap();
        assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
        assert_eq!(fact.fix.is_empty(), level == HealthLevel::Ok);
    }

    #[test]
    fn slow_answer_does_not_make_the_clock_wrong() {
        let clock = ServerClock::default();
        assert_eq!(clock.fact(), None);
        clock.answered("Mon, 10 Jun 2024 06:13:20 GMT", "2024-06-10T06:14:20Z".parse().unwrap());
        clock.answered("Mon, 10 Jun 2024 06:14:20 GMT", "2024-06-10T06:14:20.5Z".parse().unwrap());
        clock.answered("no date", "2024-06-10T06:14:20Z".parse().unwrap());
        assert_eq!(clock.fact().unwrap().level, HealthLevel::Ok);
    }
}
