//! docs/configuration.md, made from config.toml: its comments are the documentation of its keys.

const HEAD: &str = "\
# Configuration

Made from [config.toml](../config.toml), where every key stands with its default. A file of your own (`--config FILE`, or
`config.toml` in the working directory) holds only what differs; any key of a section can come from the environment, which
wins over the file. Unknown keys are refused, with the nearest known one. `xc2-analyzer check` reads everything and says
what is wrong. Durations: `500ms`, `20s`, `5m`, `24h`; sizes: `64MiB`, `2GiB`.

";

const TAIL: &str = "\
## [[measure]] and [[report]]

What is summed and what is reported is data too; an entry of your own file is laid over the one of the same name, key by
key, or added. [config.toml](../config.toml) has the defaults with their rules, the
[README](../README.md#a-fifth-report) an example.
";

/// A key of a section. Keys that share one comment stand below each other: the first has the text.
struct Key {
    name: String,
    default: String,
    meaning: String,
}

/// The sections in their order; [[measure]] and [[report]] come last and are not among them.
fn sections(config: &str) -> Vec<(String, Vec<Key>)> {
    let mut sections: Vec<(String, Vec<Key>)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in config.lines() {
        if line.starts_with("[[") {
            break;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((section.to_owned(), Vec::new()));
            comment.clear();
        } else if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let (Some((name, default)), Some((_, keys))) = (line.split_once(" = "), sections.last_mut()) {
            let meaning = if comment.is_empty() { "as above".to_owned() } else { comment.join(" ") };
            keys.push(Key { name: name.to_owned(), default: default.to_owned(), meaning });
            comment.clear();
        } else {
            assert!(
                line.is_empty() || sections.is_empty(),
                "config.toml: a line that is none of key, comment, section: {line}"
            );
        }
    }
    sections
}

pub fn page(config: &str) -> String {
    let sections = sections(config);
    let mut page = HEAD.to_owned();
    for (section, keys) in &sections {
        assert!(!keys.is_empty(), "[{section}] has no keys");
        page += &format!("## [{section}]\n\n| key | default | environment | meaning |\n|---|---|---|---|\n");
        for Key { name, default, meaning } in keys {
            let variable = format!("XC2__{}__{}", section.to_uppercase(), name.to_uppercase());
            let meaning = meaning.replace('|', "\\|").replace('<', "&lt;");
            page += &format!("| `{name}` | `{default}` | `{variable}` | {meaning} |\n");
        }
        page.push('\n');
    }
    page + TAIL
}
