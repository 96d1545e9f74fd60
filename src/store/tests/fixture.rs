//! What the store's tests are written in: a database of their own, a small plan, and rollups made of short lines.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::UInt32Type;
use tempfile::TempDir;

use super::mariadb::MariaDb;
use crate::aggregate::Rollup;
use crate::model::{Copied, Dimension, DimensionKind, FailedObject, FailureKind, Generation, Labels};
use crate::report::{MeasureSpec, Plan, RatioSpec, ReportSpec};
use crate::store::session::{Row, Value};
use crate::store::{Counted, ObjectRollup, SqlStore, Store, StoreError, StoreSettings};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    MariaDb,
}

/// A database that lives as long as the test.
pub struct Fixture {
    pub backend: Backend,
    pub settings: StoreSettings,
    pub plan: Arc<Plan>,
    pub store: SqlStore,
    _folder: TempDir,
}

impl Fixture {
    /// Empty: no table yet.
    pub async fn empty(backend: Backend, plan: Plan) -> Fixture {
        let folder = TempDir::new().unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", folder.path().join("xc2.db").display()),
            Backend::MariaDb => {
                let server = MariaDb::shared();
                server.url(&server.database().await)
            }
        };
        let settings = StoreSettings {
            url,
            connect_timeout: Duration::from_secs(10),
            connections_max: 10,
            upsert_rows: 8,
            ..StoreSettings::default()
        };
        let plan = Arc::new(plan);
        let store = SqlStore::open(&settings, plan.clone()).await.unwrap();
        Fixture { backend, settings, plan, store, _folder: folder }
    }

    pub async fn new(backend: Backend) -> Fixture {
        let fixture = Self::empty(backend, plan()).await;
        fixture.store.migrate().await.unwrap();
        fixture
    }

    /// Another program on the same database.
    pub async fn reopened(&self, plan: Plan) -> SqlStore {
        SqlStore::open(&self.settings, Arc::new(plan)).await.unwrap()
    }

    pub async fn run(&self, sql: &str) {
        let mut session = self.store.session().await.unwrap();
        session.run(sql).await.unwrap();
        session.release();
    }

    /// A result as text, one line a row.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let mut session = self.store.session().await.unwrap();
        let rows = session.query(sql, Vec::new()).await.unwrap();
        session.release();
        rows.iter().map(line).collect()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        rows[0].parse().unwrap()
    }

    /// Money as the column holds it: micros or a decimal.
    pub fn money(&self, micros: i64) -> String {
        match self.backend {
            Backend::Sqlite => micros.to_string(),
            Backend::MariaDb => crate::model::Micros(micros).to_string(),
        }
    }

    pub async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        self.store.commit(objects).await
    }

    /// An object of these lines: `date media_key device impressions revenue_micros`.
    pub fn object(&self, key: &str, lines: &[(&str, &str, &str, i64, i64)]) -> ObjectRollup {
        object(&self.plan, key, lines)
    }
}

fn line(row: &Row) -> String {
    let text = |value: &Value| match value {
        Value::Null => "NULL".into(),
        Value::Int(value) | Value::Micros(value) => value.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Date(date) => date.to_string(),
    };
    row.0.iter().map(text).collect::<Vec<_>>().join("|")
}

pub fn object(plan: &Arc<Plan>, key: &str, lines: &[(&str, &str, &str, i64, i64)]) -> ObjectRollup {
    let mut rollup = Rollup::new(plan.clone());
    rollup.add(&batch(plan, lines)).unwrap();
    ObjectRollup {
        bucket: "logs".into(),
        key: key.into(),
        generation: generation(key, 1),
        rows: lines.len() as u64,
        rejected_rows: 0,
        batch_id: "batch-1".into(),
        rollup,
    }
}

pub fn generation(key: &str, content: u8) -> Generation {
    let etag = Some(format!("etag-{key}-{content}"));
    Generation { version_id: None, etag, bytes: 100, content_hash: [content; 32] }
}

pub fn failure(key: &str, content: u8) -> FailedObject {
    FailedObject {
        bucket: "logs".into(),
        key: key.into(),
        generation: Some(generation(key, content)),
        kind: FailureKind::Gzip,
        reason: "the stream ends early at byte 17".into(),
        attempts: 1,
        message_body: "{}".into(),
        copy: Copied::Not,
        trace: Default::default(),
    }
}

fn batch(plan: &Plan, lines: &[(&str, &str, &str, i64, i64)]) -> RecordBatch {
    let texts = |text: fn(&(&str, &str, &str, i64, i64)) -> String| -> ArrayRef {
        let texts: Vec<String> = lines.iter().map(text).collect();
        let values = StringArray::from_iter_values(&texts);
        let keys = arrow::array::UInt32Array::from_iter_values(0..texts.len() as u32);
        Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(values)))
    };
    let days = lines.iter().map(|line| line.0.parse::<crate::model::ReportDate>().unwrap().0);
    let dimension = |dimension: Dimension| -> ArrayRef {
        match dimension {
            Dimension::ReportDate => Arc::new(Date32Array::from_iter_values(days.clone())),
            Dimension::MediaKey => texts(|line| line.1.to_owned()),
            Dimension::Device => texts(|line| line.2.to_owned()),
            other if other.kind() == DimensionKind::Id => Arc::new(Int64Array::from(vec![7; lines.len()])),
            _ => texts(|_| "ALL".to_owned()),
        }
    };
    let measure = |name: &str| -> ArrayRef {
        let value = |line: &(&str, &str, &str, i64, i64)| match name {
            "revenue" => line.4,
            "clicks" => line.3 / 10,
            _ => line.3,
        };
        Arc::new(Int64Array::from_iter_values(lines.iter().map(value)))
    };
    let dimensions = plan.dimensions.iter().map(|&d| (d.name().to_owned(), dimension(d)));
    let measures = plan.measures.iter().map(|m| (m.name.clone(), measure(&m.name)));
    RecordBatch::try_from_iter(dimensions.chain(measures)).unwrap()
}

pub fn measure(name: &str, kind: Option<&str>) -> MeasureSpec {
    let field = Some(name.into());
    MeasureSpec {
        name: name.into(),
        field,
        kind: kind.map(str::to_owned),
        share_of: None,
        rate: None,
        labels: Labels::default(),
    }
}

pub fn report(name: &str, dimensions: &[&str], measures: &[&str]) -> ReportSpec {
    let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    let ratio = |name: &str, of: [&str; 2], times| RatioSpec {
        name: name.into(),
        of: of.map(str::to_owned),
        times,
        labels: Labels::default(),
    };
    let ratios = [
        ratio("ctr", ["clicks", "impressions"], 1),
        ratio("cpc", ["revenue", "clicks"], 1),
        ratio("ecpm", ["revenue", "impressions"], 1000),
    ];
    let has = |ratio: &RatioSpec| ratio.of.iter().all(|name| measures.contains(&name.as_str()));
    ReportSpec {
        name: name.into(),
        table: format!("report_{name}"),
        dimensions: names(dimensions),
        measures: names(measures),
        ratios: ratios.into_iter().filter(has).collect(),
        columns: Default::default(),
        enabled: true,
        labels: Labels::default(),
    }
}

pub fn measures() -> Vec<MeasureSpec> {
    vec![measure("impressions", None), measure("clicks", None), measure("revenue", Some("money"))]
}

/// Two reports: by media key and device, and by date alone.
pub fn reports() -> Vec<ReportSpec> {
    let media = report("media", &["report_date", "media_key", "device"], &["impressions", "clicks", "revenue"]);
    let mut day = report("day_total", &["report_date", "organization_id"], &["impressions", "revenue"]);
    day.columns.insert("organization_id".into(), "org".into());
    day.columns.insert("revenue".into(), "income".into());
    vec![media, day]
}

pub fn plan() -> Plan {
    Plan::new(&measures(), &reports()).unwrap()
}
