//! The documents say what the program does: pages made from declarations are up to date, the commands that the READMEs
//! list are the commands there are, and every link leads somewhere.
//!
//! `XC2_WRITE_DOCUMENTS=1 cargo test --features failpoints --test documents` writes the pages anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod alerts;
mod configuration;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a page with what it should be, or writes it.
fn hold(page: &str, expected: &str) {
    if std::env::var_os("XC2_WRITE_DOCUMENTS").is_some() {
        fs::write(root().join(page), expected).unwrap();
    }
    let problem = "is not up to date: XC2_WRITE_DOCUMENTS=1 cargo test --features failpoints --test documents";
    assert!(read(page) == expected, "{page} {problem}");
}

#[test]
fn configuration_page_says_what_config_toml_says() {
    hold("docs/configuration.md", &configuration::page(&read("config.toml")));
}

/// Files for people, by their path from the root.
fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, pages);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    for folder in ["docs", "deploy"] {
        walk(&root().join(folder), &mut pages);
    }
    pages.extend(["README.md", "README.ko.md"].map(|name| root().join(name)));
    pages
}

/// Targets of `[text](target)`, outside of code.
fn links(page: &str) -> Vec<&str> {
    let mut code = false;
    let lines = page.lines().filter(|line| {
        code ^= line.starts_with("```");
        !code
    });
    lines.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = target.exists() && (heading.is_empty() || has_heading(&target, heading));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Whether a page has a heading with this anchor, as the usual renderers make it.
fn has_heading(page: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(page).unwrap_or_default();
    let of = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    text.lines().any(|line| line.starts_with('#') && of(line) == anchor)
}

/// First words of the rows of the table whose head is `| command |` or `| 명령 |`.
fn commands_of(readme: &str) -> BTreeSet<String> {
    let rows = readme.lines().skip_while(|line| !line.starts_with("| command |") && !line.starts_with("| 명령 |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let first = |row: &str| row.split('`').nth(1).and_then(|cell| cell.split(' ').next()).unwrap_or(row).to_owned();
    rows.map(first).collect()
}

#[test]
fn readmes_list_the_commands_that_there_are() {
    let help = Command::new(env!("CARGO_BIN_EXE_xc2-analyzer")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let commands: BTreeSet<String> = commands.map(str::to_owned).collect();
    assert!(commands.len() > 5, "{help}");
    for readme in ["README.md", "README.ko.md"] {
        assert_eq!(commands_of(&read(readme)), commands, "{readme}");
    }
}

#[test]
fn both_readmes_tell_the_same_story() {
    let of = |readme: &str| {
        let text = read(readme);
        let titles = text.lines().filter(|line| line.starts_with("## ")).count();
        let blocks = text.lines().filter(|line| line.starts_with("```")).count();
        (titles, blocks)
    };
    assert_eq!(of("README.md"), of("README.ko.md"), "sections and code blocks");
}
