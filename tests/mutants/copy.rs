//! A copy of the code, with a build folder of its own that knows all dependencies already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// Brings the copy up to date with `root`: files of the same content are left alone, so that nothing is compiled
    /// twice for no reason.
    pub fn make(root: &Path) -> Copy {
        let of_tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let copy = Copy { folder: of_tests.parent().expect("a folder within the build folder").join("mutants") };
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("run git");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
        let names: BTreeSet<&str> =
            names.split('\0').filter(|name| !name.is_empty() && root.join(name).is_file()).collect();
        for name in &names {
            copy.write(name, &std::fs::read(root.join(name)).unwrap());
            let permissions = std::fs::metadata(root.join(name)).unwrap().permissions();
            std::fs::set_permissions(copy.tree().join(name), permissions).unwrap();
        }
        remove_others(&copy.tree(), &copy.tree(), &names);
        if !copy.target().exists() {
            copy.take_dependencies(of_tests.parent().expect("as above"));
        }
        copy
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    pub fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    pub fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.tree().join(file);
        if std::fs::read(&path).is_ok_and(|there| there == bytes) {
            return;
        }
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What is compiled already, but our own crate: the compiler would have to make minutes of it again.
    fn take_dependencies(&self, built: &Path) {
        std::fs::create_dir_all(self.target()).unwrap();
        let profile = self.target().join("debug");
        std::fs::create_dir_all(&profile).unwrap();
        for part in ["build", "deps", ".fingerprint"] {
            let from = built.join("debug").join(part);
            if from.is_dir() {
                let copied = Command::new("cp").arg("-a").arg(from).arg(&profile).status().expect("run cp");
                assert!(copied.success(), "the dependencies could not be copied");
            }
        }
    }
}

fn remove_others(folder: &Path, tree: &Path, names: &BTreeSet<&str>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(tree).unwrap().to_str().expect("names in UTF-8").to_owned();
        if path.is_dir() {
            remove_others(&path, tree, names);
        } else if !names.contains(name.as_str()) && name != "Cargo.lock" {
            std::fs::remove_file(path).unwrap();
        }
    }
}
