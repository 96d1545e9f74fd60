//! Text as one word of a shell's command line: for the commands that people are given to paste.

/// As it is when no shell would change it, else in single quotes.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match text.bytes().all(is_plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://sqs.us-east-1.amazonaws.com/1/q")]
    #[case("")]
    #[case("two words")]
    #[case("it's $HOME `id` \"x\" \\ !!")]
    #[case("로그/*")]
    #[case("line\nline")]
    fn shell_reads_the_same_text_back(#[case] text: &str) {
        let script = format!("printf %s {}", quoted(text));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(quoted("arn:aws:sqs:us-east-1:1:q"), "arn:aws:sqs:us-east-1:1:q");
    }
}
