//! Whether a bucket's objects can be listed and read.

use aws_sdk_s3::types::EncodingType;

use super::super::aws::CallFailure;
use super::super::notification::{Filter, form_decoded};
use super::{Surroundings, access_denied};
use crate::model::health::{HealthFact, HealthLevel, bad, good};
use crate::model::{Announced, ObjectRef};

/// Keys looked at for one that passes the filter.
const LISTED_MAX: i32 = 1000;

/// One object is listed and its first byte read, with and without its version.
pub(super) async fn facts(
    around: &Surroundings<'_>,
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    filter: &Filter,
) -> Vec<HealthFact> {
    match list(around, s3, bucket, filter).await {
        Err(fact) => vec![*fact],
        Ok(Listed { fact, object: None }) => vec![fact],
        Ok(Listed { fact, object: Some(key) }) => vec![fact, read(around, s3, bucket, &key).await],
    }
}

struct Listed {
    fact: HealthFact,
    /// One that passes the filter.
    object: Option<String>,
}

async fn list(
    around: &Surroundings<'_>,
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    filter: &Filter,
) -> Result<Listed, Box<HealthFact>> {
    const NAME: &str = "bucket";
    let request = s3.list_objects_v2().bucket(bucket).prefix(&filter.prefix).max_keys(LISTED_MAX);
    let answer = request.encoding_type(EncodingType::Url).send().await;
    let answer = answer.map_err(|error| Box::new(not_listed(around, bucket, &CallFailure::of(&error))))?;
    let passing = answer.contents().iter().find_map(|object| {
        let key = form_decoded(object.key().unwrap_or_default()).ok()?;
        let bytes = object.size().and_then(|size| u64::try_from(size).ok());
        let announced = Announced { bytes, ..Announced::default() };
        let object = ObjectRef { bucket: bucket.to_owned(), key, announced };
        filter.passes(&object).then_some(object.key)
    });
    let place = format!("s3://{bucket}/{}", filter.prefix);
    let fact = match &passing {
        Some(_) => good(NAME, format!("{place} can be listed")),
        None => bad(
            NAME,
            HealthLevel::Warning,
            format!("{place} has no object{}, so that reading could not be tried", passing_words(filter)),
            "upload one, or correct [source] prefix and suffix, and check again",
        ),
    };
    Ok(Listed { fact, object: passing })
}

fn passing_words(filter: &Filter) -> String {
    match filter.suffix.as_str() {
        "" => String::new(),
        suffix => format!(" that ends with {suffix}"),
    }
}

fn not_listed(around: &Surroundings<'_>, bucket: &str, failure: &CallFailure) -> HealthFact {
    const NAME: &str = "bucket";
    let detail = format!("s3://{bucket} can't be listed: {}", failure.problem);
    match failure.code.as_deref().unwrap_or_default() {
        _ if access_denied(failure) => bad(
            NAME,
            HealthLevel::Warning,
            detail,
            "grant s3:ListBucket: without it a missing object looks like a forbidden one, and none could be read for a trial",
        )
        .fixed_by(around.grant(bucket)),
        "NoSuchBucket" => bad(NAME, HealthLevel::Failure, detail, "correct the bucket's name; these are ours:")
            .fixed_by("aws s3api list-buckets --query 'Buckets[].Name'"),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            bad(NAME, HealthLevel::Failure, detail, "set AWS_REGION to the bucket's: S3 announces only to queues of its own region")
                .fixed_by(format!("aws s3api get-bucket-location --bucket {bucket}"))
        }
        _ => bad(NAME, HealthLevel::Failure, detail, "restore the way to S3 (network, endpoint, credentials)"),
    }
}

async fn read(around: &Surroundings<'_>, s3: &aws_sdk_s3::Client, bucket: &str, key: &str) -> HealthFact {
    const NAME: &str = "object";
    let object = format!("s3://{bucket}/{key}");
    let first_byte = |version: Option<String>| {
        let request = s3.get_object().bucket(bucket).key(key).set_version_id(version).range("bytes=0-0");
        async move {
            match request.send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) => match CallFailure::of(&error) {
                    // An empty object has no first byte, but we were let look.
                    CallFailure { status: Some(416), .. } => Ok(None),
                    failure => Err(failure),
                },
            }
        }
    };
    let answer = match first_byte(None).await {
        Ok(answer) => answer,
        Err(failure) => return not_read(around, bucket, &object, "s3:GetObject", &failure),
    };
    let version = answer.as_ref().and_then(|answer| answer.version_id.clone()).filter(|version| version != "null");
    let mut detail = format!("{object}: its first byte was read");
    // The notifications of a versioned bucket name the version, and reading that is a permission of its own.
    if let Some(version) = version {
        if let Err(failure) = first_byte(Some(version.clone())).await {
            return not_read(around, bucket, &object, "s3:GetObjectVersion", &failure);
        }
        detail += &format!(", also by its version {version}");
    }
    match answer.and_then(|answer| answer.ssekms_key_id) {
        Some(key) => good(NAME, format!("{detail}; decrypted with the KMS key {key}")),
        None => good(NAME, detail),
    }
}

fn not_read(around: &Surroundings<'_>, bucket: &str, object: &str, action: &str, failure: &CallFailure) -> HealthFact {
    const NAME: &str = "object";
    let detail = format!("{object} can't be read: {}", failure.problem);
    let code = failure.code.as_deref().unwrap_or_default();
    // S3 says "... is not authorized to perform: kms:Decrypt on resource: <the key's ARN> ...".
    let problem = failure.problem.as_str();
    let key = problem.split_whitespace().find(|word| word.starts_with("arn:") && word.contains(":kms:"));
    match code {
        _ if code.starts_with("KMS.") || problem.contains("kms:") => {
            let keys = key.map(|key| format!(" --kms-key {key}")).unwrap_or_default();
            let fix = around.grant(bucket).replacen("print iam-policy", &format!("print iam-policy{keys}"), 1);
            let advice = "grant kms:Decrypt on the key that the objects are encrypted with, and see that it is enabled";
            bad(NAME, HealthLevel::Failure, detail, advice).fixed_by(fix)
        }
        _ if access_denied(failure) => {
            let advice = format!("grant {action}: each object would be listed as failed, kind denied");
            bad(NAME, HealthLevel::Failure, detail, advice).fixed_by(around.grant(bucket))
        }
        "InvalidObjectState" => {
            bad(NAME, HealthLevel::Warning, detail, "it is archived: an older object, perhaps; new ones must not be")
        }
        _ => bad(NAME, HealthLevel::Failure, detail, "restore the way to S3 (network, endpoint, credentials)"),
    }
}
