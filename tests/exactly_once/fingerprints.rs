//! The check that names the culprits does: what was lost and what was doubled, by key.

use crate::corpus::Corpus;
use crate::fingerprint::{counts, wrong};
use crate::world::{Kind, World};

/// The same file in another folder is another object to the ledger, and so it is counted again.
async fn lost_and_doubled_objects_are_named(name: &str, kind: Kind) {
    let corpus = Corpus::make(&["--seed", "31", "--files", "24", "--rows", "10", "--no-broken", "--fingerprint"]);
    let keys: Vec<&String> = corpus.objects.keys().collect();
    let (lost, doubled, thrice) = (keys[3], keys[7], keys[21]);
    let mut world = World::new(name, kind, &corpus).await;
    let rounds = [keys.iter().filter(|key| **key != lost).copied().collect(), vec![doubled, thrice], vec![thrice]];
    for counted in rounds {
        let folder = tempfile::tempdir().unwrap();
        for key in counted {
            let path = folder.path().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &corpus.objects[key]).unwrap();
        }
        world.set("XC2__SOURCE__URL", folder.path().to_str().unwrap());
        world.must(&["run"]);
    }
    for report in ["report_media", "report_demand", "report_ad"] {
        let counts = counts(&world.database, &corpus, report).await;
        assert_eq!(counts.len(), corpus.objects.len());
        let named =
            [format!("{lost}: LOST"), format!("{doubled}: COUNTED 2 TIMES"), format!("{thrice}: COUNTED 3 TIMES")];
        assert_eq!(wrong(&counts), named, "{report}");
    }
}

#[tokio::test]
async fn lost_and_doubled_objects_are_named_in_mariadb() {
    lost_and_doubled_objects_are_named("fingerprints-mariadb", Kind::MariaDb).await;
}

#[tokio::test]
async fn lost_and_doubled_objects_are_named_in_sqlite() {
    lost_and_doubled_objects_are_named("fingerprints-sqlite", Kind::Sqlite).await;
}
