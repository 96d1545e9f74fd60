//! What is counted in a soak: corpora without end, announced once, again, and much later; and messages that are none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::Stage;
use super::expectation::Expectation;
use crate::announcements::{FORMS, Form, announcements};
use crate::corpus::Corpus;
use crate::sqs_proxy::Proxy;

/// Of one corpus: one sentinel's worth of fingerprints.
const FILES: u64 = 20;

/// The emulator slows down with what it holds.
const BACKLOG_MAX: u64 = 60;

/// Four million references to one row, read until their ratio to the file's bytes is found to be too great: seconds of
/// processor time in a debug build, each time it is delivered. What it is for, other tests show.
const BOMB: &str = "logs/broken/gzip bomb.pkl.gz";

/// An empty list: decodes to an object of no rows, and is none of the corpus's own.
const OTHER_CONTENT: &[u8] = b"(l.";

pub struct Feed {
    stage: Arc<Stage>,
    seed: u64,
    stopped: AtomicBool,
    announced: Mutex<Announced>,
    corpora: AtomicU64,
    resent: AtomicU64,
    poison: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct Announced {
    expectation: Expectation,
    /// Keys that are uploaded, in that order, and those of them that are honest.
    uploaded: Vec<String>,
    honest: Vec<String>,
    overwritten: HashSet<String>,
}

impl Feed {
    pub fn new(stage: Arc<Stage>, seed: u64) -> Feed {
        let number = || AtomicU64::new(0);
        Feed {
            stage,
            seed,
            stopped: AtomicBool::new(false),
            announced: Mutex::default(),
            corpora: number(),
            resent: number(),
            poison: number(),
            lost: number(),
        }
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced.lock().unwrap()
    }

    /// Makes and uploads one corpus after the other, as fast as they are counted.
    pub async fn run(self: Arc<Self>) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut next = self.make(0);
        for number in 1.. {
            let corpus = next.await.expect("a corpus");
            next = self.make(number);
            let prefix = format!("{:05}/", number - 1);
            self.insert_media(&corpus).await;
            self.announced().expectation.add(&corpus, &prefix);
            self.corpora.fetch_add(1, Ordering::Relaxed);
            let mut keys: Vec<&String> = corpus.objects.keys().collect();
            random.shuffle(&mut keys);
            for key in keys {
                self.wait_for_room().await;
                let name = format!("{prefix}{key}");
                self.upload(&name, &corpus.objects[key]).await;
                let mut announced = self.announced();
                if corpus.counted().contains_key(key) {
                    announced.honest.push(name.clone());
                }
                announced.uploaded.push(name);
            }
            // A corpus is uploaded whole, so that all of it is expected.
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn make(&self, number: u64) -> tokio::task::JoinHandle<Corpus> {
        let seed = (self.seed * 100_000 + number).to_string();
        tokio::task::spawn_blocking(move || {
            let (files, first) = (FILES.to_string(), (number * FILES).to_string());
            let mut arguments = vec!["--seed", &seed, "--files", &files, "--rows", "40", "--fingerprint", &first];
            if number % 8 != 3 {
                arguments.push("--no-broken");
            }
            let mut corpus = Corpus::make(&arguments);
            corpus.objects.remove(BOMB);
            corpus.expected["failed"].as_object_mut().unwrap().remove(BOMB);
            corpus
        })
    }

    /// The media that only this corpus names: registered before it is uploaded, in the middle of everybody's work.
    async fn insert_media(&self, corpus: &Corpus) {
        for media in corpus.metadata["media"].as_array().unwrap() {
            let key = media["media_key"].as_str().unwrap();
            if key.starts_with("fingerprint ") {
                self.stage.insist(&format!("INSERT INTO media VALUES ('{key}', 8, 0, 1)")).await;
            }
        }
    }

    async fn wait_for_room(&self) {
        loop {
            let (visible, held) = self.stage.world.cloud.queue_depth().await;
            if visible + held < BACKLOG_MAX {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn upload(&self, key: &str, body: &[u8]) {
        let _turn = self.stage.proxy.turn.lock().await;
        self.stage.world.cloud.upload(key, body).await;
    }

    async fn send(&self, body: &str) {
        let _turn = self.stage.proxy.turn.lock().await;
        self.stage.world.cloud.send(body).await;
    }

    /// Announces up to ten objects again, of the newest or of all times.
    pub async fn announce_again(&self, random: &mut fastrand::Rng) {
        let keys: Vec<String> = {
            let announced = self.announced();
            let newest = if random.bool() { announced.uploaded.len().saturating_sub(40) } else { 0 };
            let keys = &announced.uploaded[newest..];
            if keys.is_empty() {
                return;
            }
            (0..random.usize(1..=10)).map(|_| keys[random.usize(..keys.len())].clone()).collect()
        };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for body in announcements(FORMS[random.usize(..FORMS.len())], &self.stage.world.cloud.bucket, &keys) {
            self.wait_for_room().await;
            self.send(&body).await;
            self.resent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub async fn poison(&self) {
        let number = self.poison.fetch_add(1, Ordering::Relaxed);
        self.send(&format!("poison {number}")).await;
    }

    /// Uploads other content under the key of an object that is counted, if the database can say so.
    pub async fn overwrite(&self, random: &mut fastrand::Rng) -> bool {
        let key = {
            let announced = self.announced();
            match announced.honest.is_empty() {
                true => return false,
                false => announced.honest[random.usize(..announced.honest.len())].clone(),
            }
        };
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let counted = format!("SELECT 1 FROM processed_object WHERE object_key = CONVERT(x'{hex}' USING utf8mb4)");
        let is_counted = self.stage.ask(&counted).await.is_some_and(|rows| !rows.is_empty());
        if !is_counted || !self.announced().overwritten.insert(key.clone()) {
            return false;
        }
        self.announced().expectation.overwritten(&key);
        self.upload(&key, OTHER_CONTENT).await;
        true
    }

    /// The emulator may forget a message that is sent while it moves others about. Whether an object was lost by it or
    /// by us is told by the proxy: nobody acknowledged a message that announced it. Such objects are announced again,
    /// the others are our loss and left for the comparison to find. How many were announced.
    pub async fn announce_what_the_emulator_lost(&self) -> u64 {
        let known = "SELECT object_key FROM processed_object UNION SELECT object_key FROM failed_object";
        let Some(known) = self.stage.ask(known).await else { return 0 };
        let known: HashSet<String> = known.into_iter().map(|mut row| row.remove(0)).collect();
        let missing: Vec<String> =
            self.announced().expectation.keys().filter(|key| !known.contains(*key)).cloned().collect();
        if missing.is_empty() {
            return 0;
        }
        let acknowledged: Vec<String> = self
            .stage
            .proxy
            .messages()
            .into_iter()
            .filter(|message| message.acknowledged)
            .map(|message| message.body)
            .collect();
        let bucket = &self.stage.world.cloud.bucket;
        let mut lost = 0;
        for key in missing {
            let encoded: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
            let names = |body: &String| {
                body.contains(&format!("\"{encoded}\"")) || body.contains(&format!("\\\"{encoded}\\\""))
            };
            if acknowledged.iter().any(names) {
                println!("soak: {key} was acknowledged, and is neither counted nor listed");
                continue;
            }
            self.send(&announcements(Form::S3, bucket, &[&key])[0]).await;
            lost += 1;
        }
        self.lost.fetch_add(lost, Ordering::Relaxed);
        lost
    }

    /// What the books must say, and how many messages must be listed as unreadable.
    pub fn expected(&self) -> (Corpus, u64) {
        (self.announced().expectation.corpus(), self.poison.load(Ordering::Relaxed))
    }

    pub fn told(&self) -> String {
        let announced = self.announced();
        format!("{} corpora, {} objects uploaded", self.corpora.load(Ordering::Relaxed), announced.uploaded.len())
    }

    pub fn report(&self, proxy: &Proxy) -> String {
        let messages = proxy.messages();
        let receipts: u64 = messages.iter().map(|message| message.times).sum();
        let announced = self.announced();
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "objects        {} in {} corpora: {} to be counted ({} rows), {} to be listed as failed\n\
             messages       {}, of them {} announce what was announced before, {} poison, {} lost by the emulator\n\
             receipts       {receipts}, of them {} redeliveries\n\
             overwritten    {} counted objects",
            announced.uploaded.len(),
            number(&self.corpora),
            announced.expectation.objects(),
            announced.expectation.rows,
            announced.expectation.failures(),
            messages.len(),
            number(&self.resent),
            number(&self.poison),
            number(&self.lost),
            receipts - messages.len() as u64,
            announced.overwritten.len(),
        )
    }
}
