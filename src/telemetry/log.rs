//! The log: one line an event, to standard error; text for people on a terminal, JSON for machines elsewhere.

use std::fmt::Debug;
use std::io::IsTerminal;

use sentry::integrations::tracing::BreadcrumbLayer;
use tracing::field::Field;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    directives: String,
    format: Format,
}

impl LogSettings {
    /// The error is a sentence about `level`.
    pub fn new(level: &str, format: Format) -> Result<Self, String> {
        // Directives are comma-separated; a bare word is taken for a target, unless it is a level.
        let words = ["error", "warn", "info", "debug", "trace", "off"];
        let known = |directive: &str| directive.contains('=') || words.contains(&directive.to_lowercase().as_str());
        if !level.split(',').all(|directive| known(directive.trim())) {
            return Err(format!("{level:?} is none of {}", words.join(", ")));
        }
        EnvFilter::try_new(level).map_err(|error| format!("{level:?}: {error}"))?;
        Ok(Self { directives: level.to_owned(), format })
    }

    /// Only what a person must know, as text: for commands whose output is the answer.
    pub fn quiet() -> Self {
        Self { directives: "warn".to_owned(), format: Format::Text }
    }
}

/// What people need not read in every line about an object; machines get it all. The batch and the message are for joins,
/// and `object` says the rest.
const ONLY_FOR_MACHINES: [&str; 10] =
    ["bucket", "key", "etag", "message_id", "batch", "wait_ms", "fetch_ms", "count_ms", "writer_wait_ms", "commit_ms"];

/// `message name=value name=value`
fn write_field(writer: &mut fmt::format::Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if ONLY_FOR_MACHINES.contains(&name) => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}

/// Installs the log for this process. What the log says before an alert goes with it, as its trail.
pub fn init(settings: &LogSettings) {
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        Box::new(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
    } else {
        let fields = fmt::format::debug_fn(write_field);
        Box::new(fmt::layer().fmt_fields(fields).with_ansi(terminal).with_target(false).with_writer(std::io::stderr))
    };
    let filter = EnvFilter::new(&settings.directives);
    let trail = BreadcrumbLayer::new().with_filter(EnvFilter::new("info"));
    // The first one stays: a second call can only come from tests in one process.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(trail).try_init();
}
