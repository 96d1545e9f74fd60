//! The one place that builds clients of AWS, and the one place that reads what their errors mean.

use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::health::ServerClock;
use super::settings::SourceSettings;

/// Time for the rest of a short answer, after its first byte.
const ANSWER_READ_TIME: Duration = Duration::from_secs(5);

/// Credentials, region and endpoint from the standard AWS chain: environment, profile, web identity, container,
/// instance. `AWS_ENDPOINT_URL` and its forms for one service are honoured.
#[derive(Clone, Debug)]
pub struct Aws {
    sdk: SdkConfig,
    settings: SourceSettings,
    clock: Option<ServerClock>,
}

impl Aws {
    /// Reads the environment and the profile files. Credentials are looked up with the first call, not here. The error is
    /// one sentence for the person who set up the environment.
    ///
    /// The region is the environment's or the profile's, else the one that the queue's URL names: logs lie where they
    /// are announced, or the environment says otherwise.
    pub async fn load(settings: &SourceSettings) -> Result<Self, String> {
        // The SDK drops some wrong addresses, and then asks AWS itself.
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SNS"] {
            match std::env::var(variable) {
                Ok(address) if !is_endpoint(&address) => {
                    return Err(format!("{variable} is not an http:// or https:// address: `{address}`"));
                }
                Ok(_) | Err(_) => {}
            }
        }
        // Pinned: a newer SDK's defaults are adopted by a change here, not by `cargo update`.
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        let loader = match settings.url.region() {
            None => loader,
            // The standard chain would ask the instance's metadata service next, and wait for it where there is none.
            Some(region) => loader.region(
                RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                    .or_else(ProfileFileRegionProvider::new())
                    .or_else(Region::new(region)),
            ),
        };
        Ok(Self::of(loader, settings).await)
    }

    /// A server of the same protocol at `endpoint` that accepts any credentials.
    #[cfg(test)]
    pub(super) async fn emulated(endpoint: &str, settings: &SourceSettings) -> Self {
        let credentials = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "tests");
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .endpoint_url(endpoint)
            .region("us-east-1")
            .credentials_provider(credentials);
        Self::of(loader, settings).await
    }

    async fn of(loader: ConfigLoader, settings: &SourceSettings) -> Self {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let sdk = loader
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
            // The pipeline owns the retries: retries of the SDK would multiply with them, out of sight.
            .retry_config(aws_config::retry::RetryConfig::disabled())
            // A long poll is a stalled stream; reading a body has its own limits, see `fetch`.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        Self { sdk, settings: settings.clone(), clock: None }
    }

    /// The same, whose clients show `clock` what they are answered.
    pub fn watched_by(self, clock: ServerClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// A client of S3; an error when no region is known.
    ///
    /// Its timeouts end when an answer's headers are there; whoever reads a body must bound that.
    /// Checksums that S3 returns are verified, which is the SDK's default and was made for S3 itself; for another
    /// server that computes them differently there is `AWS_RESPONSE_CHECKSUM_VALIDATION=when_required`
    /// (AWS SDKs and Tools Reference Guide, "Data Integrity Protections for Amazon S3").
    pub fn s3(&self) -> Result<aws_sdk_s3::Client, String> {
        let elsewhere = self.has_endpoint("AWS_ENDPOINT_URL_S3");
        let mut config = aws_sdk_s3::config::Builder::from(&self.sdk)
            .timeout_config(timeouts(&self.settings, Duration::ZERO))
            // Another server has no host name for each bucket: buckets stand in the path.
            .force_path_style(elsewhere);
        match (self.sdk.region(), elsewhere) {
            (Some(_), _) => {}
            // It needs one to sign with, and other servers call themselves this unless told otherwise.
            (None, true) => config = config.region(Region::from_static("us-east-1")),
            (None, false) => return Err("no AWS region is known: set AWS_REGION to the bucket's".into()),
        }
        if let Some(clock) = &self.clock {
            config = config.interceptor(clock.clone());
        }
        Ok(aws_sdk_s3::Client::from_conf(config.build()))
    }

    /// A client of SQS whose calls may last `wait` beyond the read timeout: the long poll's time, or none.
    ///
    /// Its region is the one that the queue's URL names, since no other one has the queue. A URL that is not of AWS, or
    /// of a private endpoint, is itself the address, unless the environment gives one.
    pub fn sqs(&self, wait: Duration) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::config::Builder::from(&self.sdk).timeout_config(timeouts(&self.settings, wait));
        if !self.has_endpoint("AWS_ENDPOINT_URL_SQS") {
            config.set_endpoint_url(self.settings.url.endpoint());
        }
        match self.settings.url.region() {
            Some(region) => config = config.region(Region::new(region)),
            None if self.sdk.region().is_none() => config = config.region(Region::from_static("us-east-1")),
            None => {}
        }
        if let Some(clock) = &self.clock {
            config = config.interceptor(clock.clone());
        }
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client of SNS in a topic's own region, whose calls last no longer than `timeout`.
    pub fn sns(&self, region: &str, timeout: Duration) -> aws_sdk_sns::Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(timeout).operation_timeout(timeout).build();
        let config = aws_sdk_sns::config::Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .timeout_config(timeouts);
        aws_sdk_sns::Client::from_conf(config.build())
    }

    /// A client of STS: who we are is the same in every region.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        let mut config =
            aws_sdk_sts::config::Builder::from(&self.sdk).timeout_config(timeouts(&self.settings, Duration::ZERO));
        if self.sdk.region().is_none() {
            config = config.region(Region::new(self.region()));
        }
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// The queue's, else the environment's; what other servers call themselves when nobody says.
    pub fn region(&self) -> String {
        let of_environment = || self.sdk.region().map(ToString::to_string);
        self.settings.url.region().or_else(of_environment).unwrap_or_else(|| "us-east-1".to_owned())
    }

    /// Whether requests go to another place than AWS. `of_service` is applied when the SDK builds the client, and
    /// no getter tells.
    fn has_endpoint(&self, of_service: &str) -> bool {
        self.sdk.endpoint_url().is_some() || std::env::var_os(of_service).is_some()
    }
}

/// [`Aws::load`] and [`Aws::s3`], for those who need nothing else.
pub(super) async fn s3_client(settings: &SourceSettings) -> Result<aws_sdk_s3::Client, String> {
    Aws::load(settings).await?.s3()
}

fn is_endpoint(address: &str) -> bool {
    // An empty variable is as good as none, to the SDK as well.
    address.is_empty() || url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn timeouts(settings: &SourceSettings, wait: Duration) -> TimeoutConfig {
    let first_byte = settings.read_timeout + wait;
    let whole = settings.connect_timeout + first_byte + ANSWER_READ_TIME;
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(first_byte)
        .operation_attempt_timeout(whole)
        .operation_timeout(whole)
        .build()
}

/// Who is at fault when a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No answer, throttled, a server error, or credentials that will be renewed: it passes.
    Passing,
    /// The credentials or the client's configuration: no request like this one can succeed.
    Setup,
    /// The service understood, and refuses this request.
    Request,
}

/// The facts of a failed call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallFailure {
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The service's own name for the error; an answer to a HEAD request has none.
    pub code: Option<String>,
    /// The service's own words, or what kept us from an answer. Never empty.
    pub problem: String,
    /// The request could not even be made.
    pub unmade: bool,
}

impl CallFailure {
    pub fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                let code = meta.code().map(str::to_owned);
                let problem = match (code.as_deref(), meta.message()) {
                    (Some(code), Some(message)) => format!("{code}: {message}"),
                    (Some(code), None) => code.to_owned(),
                    (None, Some(message)) => message.to_owned(),
                    (None, None) => {
                        let status = status.map(|status| format!(", HTTP status {status}"));
                        format!("an error without a name{}", status.unwrap_or_default())
                    }
                };
                Self { status, code, problem, unmade: false }
            }
            SdkError::DispatchFailure(failure) => {
                Self { problem: chain(error), unmade: failure.is_user(), ..Self::default() }
            }
            SdkError::ConstructionFailure(_) => Self { problem: chain(error), unmade: true, ..Self::default() },
            // No answer in time, or one that is not of the protocol, such as a proxy's error page.
            _ => Self { status, problem: chain(error), ..Self::default() },
        }
    }

    pub fn fault(&self) -> Fault {
        let code = self.code.as_deref().unwrap_or_default();
        if self.unmade {
            return Fault::Setup;
        }
        // A signature that is out of date means a clock that is wrong for now, here or there.
        if PASSING.contains(&code) || (SIGNATURE.contains(&code) && self.problem.contains("Signature expired")) {
            return Fault::Passing;
        }
        if CREDENTIALS.contains(&code) || SIGNATURE.contains(&code) {
            return Fault::Setup;
        }
        match self.status {
            None | Some(408 | 429 | 500..) => Fault::Passing,
            // Without the service's own name for the error it is not the service that answers, but a proxy's error page,
            // or half an answer. Some servers of the S3 protocol send these two bare.
            Some(404 | 412) => Fault::Request,
            Some(_) if code.is_empty() => Fault::Passing,
            Some(_) => Fault::Request,
        }
    }
}

/// Answered with 4xx, and yet passing: throttling under its many names (as the SDK's own retry classifier knows
/// them, and those of KMS behind SQS and S3), too many messages in flight, credentials to be renewed, clocks.
const PASSING: [&str; 23] = [
    "BandwidthLimitExceeded",
    "KMS.ThrottlingException",
    "KmsThrottled",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "RequestTimeoutException",
    "OperationAborted",
    "TemporaryRedirect",
];

/// The credentials themselves are wrong (S3 API Reference, "Error responses"; SQS API Reference, "Common errors").
const CREDENTIALS: [&str; 12] = [
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotSignedUp",
    "OptInRequired",
    "UnrecognizedClientException",
    "MissingSecurityHeader",
    "UnauthorizedAccess",
];

const SIGNATURE: [&str; 4] =
    ["IncompleteSignature", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException"];

/// The SDK's words for the layer that an error went through; alone they say nothing.
const LAYERS: [&str; 4] = ["dispatch failure", "io error", "other", "client error (Connect)"];

/// An error's own words and those of its causes, on one line; causes like to repeat each other.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains("no credentials found in chain") {
            return "no AWS credentials were found: not in the environment, nor in a profile, a web identity, the \
                    container or the instance"
                .to_owned();
        }
        if !LAYERS.contains(&text.as_str()) && words.iter().all(|known| !known.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    if words.is_empty() { error.to_string() } else { words.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, "", Fault::Passing)]
    #[case(Some(503), "SlowDown", Fault::Passing)]
    #[case(Some(500), "InternalError", Fault::Passing)]
    #[case(Some(502), "", Fault::Passing)]
    #[case(Some(429), "", Fault::Passing)]
    #[case(Some(200), "", Fault::Passing)] // half an answer
    #[case(Some(403), "", Fault::Passing)] // a proxy's
    #[case(Some(404), "", Fault::Request)]
    #[case(Some(400), "RequestThrottled", Fault::Passing)]
    #[case(Some(403), "OverLimit", Fault::Passing)]
    #[case(Some(400), "KmsThrottled", Fault::Passing)]
    #[case(Some(400), "ExpiredToken", Fault::Passing)]
    #[case(Some(403), "RequestTimeTooSkewed", Fault::Passing)]
    #[case(Some(400), "RequestTimeout", Fault::Passing)]
    #[case(Some(307), "TemporaryRedirect", Fault::Passing)]
    #[case(Some(403), "SignatureDoesNotMatch", Fault::Setup)]
    #[case(Some(403), "InvalidAccessKeyId", Fault::Setup)]
    #[case(Some(403), "InvalidClientTokenId", Fault::Setup)]
    #[case(Some(403), "AccessDenied", Fault::Request)]
    #[case(Some(404), "NoSuchKey", Fault::Request)]
    #[case(Some(412), "PreconditionFailed", Fault::Request)]
    #[case(Some(301), "PermanentRedirect", Fault::Request)]
    #[case(Some(400), "AWS.SimpleQueueService.NonExistentQueue", Fault::Request)]
    fn failed_call_knows_who_is_at_fault(#[case] status: Option<u16>, #[case] code: &str, #[case] fault: Fault) {
        let code = (!code.is_empty()).then(|| code.to_owned());
        assert_eq!(CallFailure { status, code, ..CallFailure::default() }.fault(), fault);
    }

    #[rstest]
    #[case("http://127.0.0.1:5000", true)]
    #[case("https://s3.example.com/path", true)]
    #[case("", true)]
    #[case("127.0.0.1:5000", false)]
    #[case("localhost:5000", false)]
    #[case("nonsense", false)]
    fn endpoint_is_an_address(#[case] address: &str, #[case] good: bool) {
        assert_eq!(is_endpoint(address), good);
    }

    #[rstest]
    #[case("InvalidSignatureException: Signature expired: 20240610T000000Z is now earlier than", Fault::Passing)]
    #[case("InvalidSignatureException: The request signature we calculated does not match", Fault::Setup)]
    fn clock_is_told_from_a_wrong_key(#[case] problem: &str, #[case] fault: Fault) {
        let code = Some("InvalidSignatureException".to_owned());
        let failure = CallFailure { status: Some(403), code, problem: problem.into(), ..CallFailure::default() };
        assert_eq!(failure.fault(), fault);
    }
}
