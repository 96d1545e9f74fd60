//! What to try, for one listing: sentences, and commands as they are to be typed.

use crate::model::object::printable;
use crate::model::{Announced, FailureKind, ObjectRef};
use crate::source::FetchError;
use crate::source::fetch::FOLDER_SCHEME;
use crate::store::{CountedRow, FailedRow, FailedState};

use super::select;

/// What is known of a listing beside its row.
pub struct Known<'a> {
    pub row: &'a FailedRow,
    pub counted: Option<&'a CountedRow>,
    /// What is under the object's name now; `None` when nobody looked.
    pub now: Option<&'a Result<Announced, FetchError>>,
}

/// Sentences, each with the commands that belong to it.
pub type Advice = Vec<(String, Vec<String>)>;

pub fn advice(known: &Known) -> Advice {
    let row = known.row;
    let retry = format!("xc2-analyzer failed retry {}", reference(row));
    match row.state {
        FailedState::Open => {}
        FailedState::Resolved => return vec![("nothing: it is settled".to_owned(), Vec::new())],
        FailedState::Discarded => {
            let reopen = format!("xc2-analyzer failed reopen {}", reference(row));
            return vec![("nothing, unless the discard was a mistake".to_owned(), vec![reopen, retry])];
        }
    }
    let kind = FailureKind::ALL.iter().copied().find(|kind| kind.name() == row.kind);
    let general = kind.map_or("this program does not know this kind: use the one that listed it", FailureKind::advice);
    let mut advice = vec![(general.to_owned(), looking(row, kind))];
    match kind {
        Some(FailureKind::Notification) => {}
        Some(FailureKind::Overwritten) => advice.extend(overwritten(known)),
        _ => advice.extend(missing(known)),
    }
    let is_told = advice.iter().flat_map(|(_, commands)| commands).any(|command| command.contains(" failed retry "));
    if kind != Some(FailureKind::Overwritten) && !is_told {
        advice.push(("then".to_owned(), vec![retry]));
    }
    let reason = "--reason 'why it is not to be counted'";
    let discard = format!("xc2-analyzer failed discard {} {reason}", reference(row));
    advice.push(("or, when it is never to be counted".to_owned(), vec![discard]));
    advice
}

/// Commands that look and change nothing.
fn looking(row: &FailedRow, kind: Option<FailureKind>) -> Vec<String> {
    let object = select::object(row);
    if row.bucket.is_empty() {
        return Vec::new();
    }
    let read = kind.is_none_or(|kind| !matches!(kind, FailureKind::Missing | FailureKind::Denied));
    let mut commands = Vec::new();
    match row.bucket.strip_prefix(FOLDER_SCHEME) {
        Some(folder) => {
            let path = shell(&format!("{folder}/{}", row.key));
            commands.push(format!("ls -l {path}"));
            commands.extend(read.then(|| format!("xc2-analyzer inspect {path}")));
        }
        None => {
            commands.push(format!("aws s3api head-object {}", s3_arguments(&object)));
            match version(&object) {
                _ if !read => {}
                // `inspect` reads what is there now, which may be another content.
                Some(_) => commands.push(format!(
                    "aws s3api get-object {} /tmp/object && xc2-analyzer inspect /tmp/object",
                    s3_arguments(&object)
                )),
                None => commands.push(format!("xc2-analyzer inspect {}", shell(&url(&object)))),
            }
            let copy = row.copied_to.as_ref();
            commands.extend(copy.map(|copy| format!("xc2-analyzer inspect {}  # the copy", shell(copy))));
        }
    }
    commands
}

fn missing(known: &Known) -> Advice {
    let row = known.row;
    let etag = row.etag.as_deref().unwrap_or("none");
    match known.now {
        Some(Ok(now)) if row.etag.is_none() || now.etag != row.etag => {
            let there = now.etag.as_deref().unwrap_or("unknown");
            let bytes = now.bytes.map_or(String::new(), |bytes| format!(", {bytes} bytes"));
            let listed = if row.etag.is_none() { String::new() } else { format!(" instead of the listed {etag}") };
            let current = if version(&select::object(row)).is_some() { " --current" } else { "" };
            let retry = format!("xc2-analyzer failed retry{current} {}", reference(row));
            vec![(
                format!(
                    "another content is there now (ETag {there}{bytes}){listed}: a retry reads that one, and counting it \
                     resolves every open listing of the object"
                ),
                vec![retry],
            )]
        }
        Some(Err(FetchError::Missing { .. })) if row.kind != FailureKind::Missing.name() => {
            vec![("it is not there any more: what was listed can't be read again".to_owned(), versions(row))]
        }
        Some(Err(FetchError::Missing { .. })) => {
            vec![("no content is there now, newer or older".to_owned(), versions(row))]
        }
        _ => Vec::new(),
    }
}

fn overwritten(known: &Known) -> Advice {
    let row = known.row;
    let second = row.etag.as_deref().unwrap_or("unknown");
    let Some(counted) = known.counted else {
        let retry = format!("xc2-analyzer failed retry {}", reference(row));
        return vec![("the ledger does not hold the object any more: a retry counts it".to_owned(), vec![retry])];
    };
    let first = counted.etag.as_deref().unwrap_or("unknown");
    let mut sentence = format!("in the reports: ETag {first}, {} rows; not added: ETag {second}", counted.rows);
    if let Some(Ok(now)) = known.now {
        sentence += match &now.etag {
            etag if *etag == row.etag => "; the second one is there now",
            etag if *etag == counted.etag => "; the first one is there now",
            _ => "; a third one is there now",
        };
    }
    let mut compare = versions(row);
    let object = select::object(row);
    let first_version = counted.version_id.as_deref().filter(|version| *version != "null");
    if let (Some(first), Some(_)) = (first_version, version(&object)) {
        let of_first = ObjectRef {
            announced: Announced { version_id: Some(first.to_owned()), ..Announced::default() },
            ..object.clone()
        };
        for (object, file) in [(of_first, "/tmp/first"), (object, "/tmp/second")] {
            let get = format!("aws s3api get-object {} {file}", s3_arguments(&object));
            compare.push(format!("{get} && xc2-analyzer inspect {file}"));
        }
    }
    let both = "a second content is never added to the reports, so that it can't be retried. When the first is right, \
                discard this; when the second is, its difference has to be brought to the reports by hand";
    vec![(sentence, compare), (both.to_owned(), Vec::new())]
}

fn versions(row: &FailedRow) -> Vec<String> {
    match row.bucket.is_empty() || row.bucket.starts_with(FOLDER_SCHEME) {
        true => Vec::new(),
        false => {
            vec![format!("aws s3api list-object-versions --bucket {} --prefix {}", shell(&row.bucket), shell(&row.key))]
        }
    }
}

fn version(object: &ObjectRef) -> Option<&str> {
    object.announced.version_id.as_deref().filter(|version| *version != "null")
}

fn s3_arguments(object: &ObjectRef) -> String {
    let version = version(object).map_or(String::new(), |version| format!(" --version-id {}", shell(version)));
    format!("--bucket {} --key {}{version}", shell(&object.bucket), shell(&object.key))
}

fn url(object: &ObjectRef) -> String {
    format!("s3://{}/{}", object.bucket, object.key)
}

/// How `failed` commands take this object.
fn reference(row: &FailedRow) -> String {
    match row.bucket.strip_prefix(FOLDER_SCHEME) {
        _ if row.bucket.is_empty() => select::short(row.id),
        Some(folder) => shell(&format!("{folder}/{}", row.key)),
        None => shell(&url(&select::object(row))),
    }
}

/// One word of a shell's command line; a name may be anyone's, and must neither run nor write to the terminal.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let escaped = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => c.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        c => c.to_string(),
    };
    format!("$'{}'", text.chars().map(escaped).collect::<String>())
}

/// The message, readable: pretty when it is JSON, and in either case without control characters.
pub fn message(body: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|json| pretty(json, 0));
    let lines: Vec<String> =
        pretty.as_deref().unwrap_or(body).lines().map(|line| printable(line).into_owned()).collect();
    lines.join("\n")
}

/// Envelopes of SNS hold the message as text: it is opened too.
fn pretty(mut json: serde_json::Value, depth: usize) -> Option<String> {
    let inner = json.get("Message").and_then(|message| message.as_str());
    if depth == 0
        && let Some(message) = inner.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
        && let Some(envelope) = json.as_object_mut()
    {
        envelope.insert("Message".to_owned(), message);
    }
    serde_json::to_string_pretty(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("logs/2024/a.pkl.gz", "logs/2024/a.pkl.gz")]
    #[case("a b", "'a b'")]
    #[case("it's; rm -rf /", r"'it'\''s; rm -rf /'")]
    #[case("뉴스", "'뉴스'")]
    #[case("a\u{1b}[31m'\\", r"$'a\x1b[31m\'\\'")]
    #[case("", "''")]
    fn word_of_a_command_is_quoted_where_it_must_be(#[case] text: &str, #[case] word: &str) {
        assert_eq!(shell(text), word);
    }

    #[test]
    fn shell_reads_back_what_was_quoted() {
        for text in ["a b", "it's", "a\u{1b}[31m'\\\n", "뉴스\u{85}", "$HOME `id` \"x\""] {
            let echo = std::process::Command::new("bash").args(["-c", &format!("printf %s {}", shell(text))]).output();
            assert_eq!(String::from_utf8(echo.unwrap().stdout).unwrap(), text);
        }
    }

    #[rstest]
    #[case("{\"a\":1}", "{\n  \"a\": 1\n}")]
    #[case("no \u{1b}[31mJSON", r"no \u{1b}[31mJSON")]
    #[case(r#"{"Message":"{\"b\":2}"}"#, "{\n  \"Message\": {\n    \"b\": 2\n  }\n}")]
    fn message_is_shown_readable_and_harmless(#[case] body: &str, #[case] shown: &str) {
        assert_eq!(message(body), shown);
    }
}
