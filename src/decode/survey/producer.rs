//! What a pickle's bytes tell of who wrote it. Facts are gathered while it is walked; a hint says no more than they prove.

use std::collections::{BTreeMap, BTreeSet};

use super::gzip_header::GzipHeader;

/// Distinct names that are told apart.
const GLOBALS_MAX: usize = 64;

/// How often what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producer {
    /// Dumps by the protocol that their PROTO names; those of protocol 0 and 1 have none.
    pub protocols: BTreeMap<u8, u64>,
    pub dumps: u64,
    pub frames: u64,
    /// PUT, BINPUT and LONG_BINPUT.
    pub puts: u64,
    pub memoizes: u64,
    pub gets: u64,
    /// STRING, BINSTRING and SHORT_BINSTRING, which Python 3 never writes.
    pub old_strings: u64,
    /// Batches of one element after full ones: `_pickle.c` opens a mark for it, `pickle.py` does not.
    pub lone_batches: u64,
    pub lone_appends: u64,
    /// Modules and names.
    pub globals: BTreeSet<(String, String)>,
    pub more_globals: bool,
}

/// What CPython's picklers list at once.
pub(super) const BATCH: u64 = 1000;

impl Producer {
    pub(super) fn saw_global(&mut self, module: &str, name: &str) {
        let cut = |text: &str| text.chars().take(100).collect::<String>();
        let pair = (cut(module), cut(name));
        if self.globals.len() < GLOBALS_MAX {
            self.globals.insert(pair);
        } else {
            self.more_globals |= !self.globals.contains(&pair);
        }
    }

    fn names(&self, module: impl Fn(&str) -> bool, name: impl Fn(&str) -> bool) -> bool {
        self.globals.iter().any(|known| module(&known.0) && name(&known.1))
    }

    pub fn hints(&self, gzip: Option<&GzipHeader>) -> Vec<String> {
        let mut hints = Vec::new();
        let mut say = |hint: &str| hints.push(hint.to_owned());
        if let Some(gzip) = gzip {
            match (gzip.os, gzip.extra_flags) {
                (255, 2) => say("gzip header as Python's gzip module writes it at level 9, its default"),
                (255, 0 | 4) => say("gzip header as Python's gzip module writes it at a level below 9"),
                (3, _) => say("gzip header as zlib and gzip(1) write it on Unix"),
                _ => {}
            }
        }
        if self.old_strings > 0 {
            say("Python 2 wrote it: it has str of 8-bit characters, which Python 3 never writes");
        } else if self.names(|module| module == "copy_reg", |_| true) {
            say("names copy_reg: Python 2, or Python 3 for Python 2 to read (its default up to protocol 2)");
        }
        if self.dumps > 0 && self.protocols.is_empty() {
            say("no PROTO opcode: protocol 0 or 1");
        }
        match (self.puts, self.memoizes) {
            (0, 0) if self.gets == 0 => say("nothing is memoized: a pickler in fast mode, or an optimized pickle"),
            (0, 0) => {}
            (_, 0) => say("memoized by number (PUT, BINPUT), as protocols 0 to 3 do"),
            (0, _) => say("memoized in order (MEMOIZE), as protocols 4 and 5 do"),
            _ => say("memoized both by number and in order: dumps of several protocols"),
        }
        if self.lone_batches > 0 && self.lone_appends == 0 {
            say("batches as the C pickler (_pickle) cuts them");
        }
        if self.lone_appends > 0 && self.lone_batches == 0 {
            say("batches as the pure Python pickler (pickle.py) cuts them");
        }
        self.say_libraries(&mut say);
        hints
    }

    fn say_libraries(&self, say: &mut impl FnMut(&str)) {
        let any = |_: &str| true;
        if self.names(|module| module.starts_with("numpy._core"), any) {
            say("numpy 2: names numpy._core");
        }
        if self.names(|module| module.starts_with("numpy.core"), any) {
            say("numpy 1: names numpy.core");
        }
        let is_named = |module: &str, name: &str| self.globals.contains(&(module.to_owned(), name.to_owned()));
        if is_named("pandas", "DataFrame") {
            say("pandas 3: its classes are named by the public module");
        } else if is_named("pandas.core.frame", "DataFrame") {
            say(if is_named("pandas._libs.internals", "_unpickle_block") {
                "pandas 1.4 to 2.x: blocks through _unpickle_block"
            } else if is_named("pandas.core.internals.blocks", "new_block") {
                "pandas 1.3: blocks through functools.partial(new_block)"
            } else if is_named("pandas.core.internals.managers", "BlockManager") {
                "pandas 1.0 to 1.2: blocks in the state of the BlockManager"
            } else {
                "pandas"
            });
        }
        if self.names(|module| module.starts_with("pyarrow"), any) {
            say("columns kept in pyarrow arrays");
        }
    }
}
