//! The dashboard of reports asks a MariaDB what it understands, of tables and columns that `migrate` makes.

use std::path::Path;

use serde_json::Value;

use crate::corpus::Corpus;
use crate::world::{Kind, World};

/// Title and SQL of everything that reports.json asks, the list of its variable among it.
fn queries() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/reports.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panel = |panel: &Value| -> Vec<(String, String)> {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().map(|target| (text(&panel["title"]), text(&target["rawSql"]))).collect()
    };
    let mut queries: Vec<(String, String)> = panels.flat_map(of_panel).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = variables.filter(|variable| variable["type"] == "query");
    queries.extend(asked.map(|variable| (text(&variable["name"]), text(&variable["query"]))));
    queries
}

/// As Grafana fills in its macros and the variable: every organization, or one.
fn filled_in(sql: &str, organization: &str) -> String {
    let sql = sql
        .replace("$__timeFrom()", "FROM_UNIXTIME(0)")
        .replace("$__timeTo()", "FROM_UNIXTIME(2000000000)")
        .replace("${organization:sqlstring}", organization);
    assert!(!sql.contains('$'), "the test does not know a macro of {sql}");
    sql
}

#[tokio::test]
async fn every_panel_of_the_reports_shows_rows_of_a_counted_corpus() {
    let corpus = Corpus::make(&["--seed", "52", "--rows", "200"]);
    let mut world = World::new("dashboards", Kind::MariaDb, &corpus).await;
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    world.must(&["run"]);
    let organization = world.database.rows("SELECT MAX(organization_id) FROM report_media").await[0][0].clone();
    let queries = queries();
    assert!(queries.len() > 10, "{queries:?}");
    for (title, sql) in &queries {
        let all = world.database.rows(&filled_in(sql, "'all'")).await;
        assert!(!all.is_empty() && all[0][0] != "NULL", "{title}: {sql} says nothing: {all:?}");
        // What names no organization says the same.
        let one = world.database.rows(&filled_in(sql, &format!("'{organization}'"))).await;
        assert!(!one.is_empty() && one[0][0] != "NULL", "{title}, organization {organization}: {one:?}");
    }
    // The filter filters: the sums of each organization add up to those of all.
    let (_, impressions) = queries.iter().find(|(title, _)| title.contains("impressions")).unwrap();
    let mut sum = 0;
    for row in world.database.rows("SELECT DISTINCT organization_id FROM report_media").await {
        sum += world.database.number(&filled_in(impressions, &format!("'{}'", row[0]))).await;
    }
    assert_eq!(sum, world.database.number(&filled_in(impressions, "'all'")).await);
}
