use rstest::rstest;

use super::fixture::{Backend, Fixture, plan};
use crate::model::{InventoryRow, MediaRow, Metadata, Rate};
use crate::store::{SqlStore, Store, StoreError, StoreSettings};

fn media(key: &str, organization_id: i64, agency: &str, media: &str) -> MediaRow {
    let rate = |text| Rate::parse(text).unwrap();
    MediaRow { media_key: key.into(), organization_id, agency_rate: rate(agency), media_rate: rate(media) }
}

#[rstest]
#[tokio::test]
async fn metadata_is_read_as_it_was_written(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let inventory = |id, text: &str| InventoryRow {
        inventory_id: id,
        ad_type: text.into(),
        device: "Mobile".into(),
        app_type: "aos".into(),
    };
    let metadata = Metadata {
        media: vec![
            media("M1", 5, "0.1", "0.9"),
            media("m1", 6, "0.333333333333333333", "0"),
            media("m1 ", 7, "1", "0"),
        ],
        inventory: (0..30).map(|id| inventory(id, "배너")).collect(),
    };
    fixture.store.insert_metadata(&metadata).await.unwrap();
    fixture.store.insert_metadata(&metadata).await.expect("replaces the rows");
    let mut read = fixture.store.metadata().await.unwrap();
    read.media.sort_by_key(|row| row.organization_id);
    read.inventory.sort_by_key(|row| row.inventory_id);
    assert_eq!(read, metadata);
}

async fn with_queries(fixture: &Fixture, media: &str, inventory: &str) -> Result<Metadata, StoreError> {
    let settings =
        StoreSettings { media_query: media.into(), inventory_query: inventory.into(), ..fixture.settings.clone() };
    let store = SqlStore::open(&settings, plan().into()).await.unwrap();
    store.metadata().await
}

const NO_MEDIA: &str = "SELECT 'x', 1, 0, 0 FROM media";
const NO_INVENTORY: &str = "SELECT 1, '', '', '' FROM media";

#[rstest]
#[tokio::test]
async fn numbers_of_every_type_and_null_are_understood(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let query = "SELECT 1023, NULL, 1e-1, '0.25' UNION ALL SELECT 'm2', '12', NULL, 1";
    let read = with_queries(&fixture, query, "SELECT '7', NULL, 'pc', NULL").await.unwrap();
    assert_eq!(read.media, [media("1023", 0, "0.1", "0.25"), media("m2", 12, "0", "1")]);
    let inventory =
        InventoryRow { inventory_id: 7, ad_type: String::new(), device: "pc".into(), app_type: String::new() };
    assert_eq!(read.inventory, [inventory]);
}

#[rstest]
#[case("SELECT 'm1', 1, 1.5, 0", NO_INVENTORY, "[metadata] media: row \"m1\": agency rate: rate `1.5`")]
#[case("SELECT 'm1', 'five', 0, 0", NO_INVENTORY, "[metadata] media: row \"m1\": the organization id \"five\"")]
#[case("SELECT NULL, 1, 0, 0", NO_INVENTORY, "[metadata] media: row \"NULL\": the media key is NULL")]
#[case("SELECT 'm1', 1, 0", NO_INVENTORY, "[metadata] media: returns 3 columns")]
#[case(NO_MEDIA, "SELECT 9999999999999999999, '', '', ''", "[metadata] inventory: row")]
#[case(NO_MEDIA, "SELECT 1, 'an ad type that is longer than its column', '', ''", "the ad type has more than 32")]
#[tokio::test]
async fn unusable_metadata_is_named_by_query_and_row(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
    #[case] media: &str,
    #[case] inventory: &str,
    #[case] problem: &str,
) {
    let fixture = Fixture::new(backend).await;
    let error = with_queries(&fixture, media, inventory).await.unwrap_err();
    assert!(matches!(error, StoreError::Metadata { .. }), "{error}");
    assert!(error.to_string().contains(problem), "{error}");
}

#[rstest]
#[tokio::test]
async fn metadata_query_can_not_write(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.store.insert_metadata(&Metadata { media: vec![media("m", 1, "0", "0")], inventory: vec![] }).await.unwrap();
    with_queries(&fixture, "DELETE FROM media", NO_INVENTORY).await.unwrap_err();
    assert_eq!(fixture.store.metadata().await.unwrap().media.len(), 1);
}

#[rstest]
#[tokio::test]
async fn query_of_an_unknown_table_is_named(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let error = with_queries(&fixture, "SELECT a, b, c, d FROM nowhere", NO_INVENTORY).await.unwrap_err();
    assert!(error.to_string().contains("[metadata] media"), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}
