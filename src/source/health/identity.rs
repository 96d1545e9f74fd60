//! Whom AWS takes us for, and how that one is granted what it lacks.

use std::time::Duration;

use super::super::aws::{Aws, CallFailure};
use crate::model::health::{HealthFact, HealthLevel, bad, good};
use crate::model::shell::quoted;

const NAME: &str = "credentials";

/// A network may have a way to S3 and SQS and none to STS: that must not hold up the rest.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// `arn:aws:sts::<account>:assumed-role/<role>/<session>`, `arn:aws:iam::<account>:user/<name>`, or nothing known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    arn: Option<String>,
}

impl Identity {
    /// The error is a line of `check`. Everybody may ask who he is: no permission is needed.
    pub async fn of(aws: &Aws) -> (Identity, HealthFact) {
        let asked = tokio::time::timeout(WAIT_MAX, aws.sts().get_caller_identity().send());
        let problem = match asked.await {
            Ok(Ok(answer)) => {
                let arn = answer.arn.unwrap_or_default();
                return (Identity { arn: Some(arn.clone()) }, good(NAME, format!("we are {arn}")));
            }
            Ok(Err(error)) => CallFailure::of(&error).problem,
            Err(_) => format!("STS did not answer within {WAIT_MAX:?}"),
        };
        let fact = match problem.starts_with("no AWS credentials") {
            true => {
                let advice = "give this machine or task a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                              AWS_SECRET_ACCESS_KEY";
                bad(NAME, HealthLevel::Failure, problem, advice)
            }
            false => {
                let advice = "the other lines tell whether the credentials work; with sts:GetCallerIdentity reachable this one \
                              tells whose they are";
                bad(NAME, HealthLevel::Warning, format!("whose they are can't be asked: {problem}"), advice)
            }
        };
        (Identity::default(), fact)
    }

    /// Gives us the policy that `run` and `check` need, by the name of who we are.
    pub fn grant(&self, buckets: &[String]) -> String {
        let buckets: String = buckets.iter().map(|bucket| format!(" --bucket {}", quoted(bucket))).collect();
        let resource = self.arn.as_deref().and_then(|arn| arn.split(':').nth(5)).unwrap_or_default();
        let parts: Vec<&str> = resource.split('/').collect();
        let whom = match parts[..] {
            ["assumed-role", role, ..] => format!("put-role-policy --role-name {}", quoted(role)),
            ["user", .., user] => format!("put-user-policy --user-name {}", quoted(user)),
            _ => "put-role-policy --role-name \"$ROLE\"".to_owned(),
        };
        format!(
            "xc2-analyzer print iam-policy{buckets} | aws iam {whom} --policy-name xc2-analyzer --policy-document \
             file:///dev/stdin"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("arn:aws:sts::1:assumed-role/xc2-analyzer/i-0abc", "put-role-policy --role-name xc2-analyzer ")]
    #[case("arn:aws:iam::1:user/people/kim", "put-user-policy --user-name kim ")]
    #[case("arn:aws:iam::1:root", "put-role-policy --role-name \"$ROLE\" ")]
    fn grant_names_who_we_are(#[case] arn: &str, #[case] words: &str) {
        let grant = Identity { arn: Some(arn.into()) }.grant(&["logs".into()]);
        assert!(grant.starts_with("xc2-analyzer print iam-policy --bucket logs | aws iam "), "{grant}");
        assert!(grant.contains(words), "{grant}");
    }
}
