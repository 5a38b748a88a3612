//! The dashboard for Grafana: a real Prometheus answers each of its queries with what a real run has written.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::examples::example;
use crate::reports::server::{Answer, Server};
use crate::support::killed::Killed;
use crate::support::sandbox::{Sandbox, wait_until};

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(example("grafana-dashboard.json")).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Every query with its panel's title.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().unwrap().clone();
        assert!(!targets.is_empty(), "{title}");
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    panels(dashboard).iter().flat_map(of).collect()
}

/// The metrics that a text names.
fn metrics(text: &str) -> BTreeSet<String> {
    let name = regex::Regex::new("counterpart_[a-z_]+").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// What a run writes about a clone that was also proven.
fn written() -> String {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let file = sandbox.path().join("clone.prom");
    let options = ["--metrics-file", file.to_str().unwrap()];
    sandbox.clone(&options).assert_code(0);
    let state = sandbox.state_file("json");
    let mut known: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    known["proof"] = json!({
        "at": known["last"]["ended"], "booted": true, "reason": null, "compared": true, "firmware": "BIOS", "kernel": null, "seconds": 9.5,
    });
    fs::write(&state, known.to_string()).unwrap();
    sandbox.clone(&options).assert_code(0);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("counterpart_proof_booted{"), "{text}");
    text
}

/// A real Prometheus, killed at the end.
struct Prometheus {
    _child: Killed,
    url: String,
}

impl Prometheus {
    /// One that scrapes this text every second.
    fn of(dir: &Path, text: String) -> Self {
        let text: &'static str = Box::leak(text.into_boxed_str());
        let server =
            Server::start(move |_| Answer::With("200 OK", "Content-Type: text/plain\r\n".to_owned(), text));
        let target = server.url("").trim_start_matches("http://").to_owned();
        let config = dir.join("prometheus.yml");
        let scrape = json!({
            "global": { "scrape_interval": "1s" },
            "scrape_configs": [{ "job_name": "node", "static_configs": [{ "targets": [target] }] }],
        });
        fs::write(&config, scrape.to_string()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { _child: Killed(child), url: format!("http://127.0.0.1:{port}") };
        assert!(wait_until(|| prometheus.ask("counterpart_files").is_ok_and(|answer| !answer.is_empty())));
        prometheus
    }

    /// The samples that an expression has now, a line each.
    fn ask(&self, expression: &str) -> Result<String, String> {
        let output =
            Command::new("promtool").args(["query", "instant", &self.url, expression]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout).trim().to_owned())
        } else {
            Err(text(output.stderr))
        }
    }
}

#[test]
fn prometheus_answers_each_query_with_what_a_run_has_written() {
    let dashboard = dashboard();
    let written = written();
    let dir = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::of(dir.path(), written.clone());
    for (title, query) in queries(&dashboard) {
        let plain = query.replace("$instance", ".*").replace("$destination", ".*");
        assert!(!plain.contains('$'), "{title}: {query}");
        let answer = prometheus.ask(&plain).unwrap_or_else(|why| panic!("{title}: {query}: {why}"));
        assert!(!answer.is_empty(), "{title} shows nothing: {query}");
        // The variables do choose.
        let none = query.replace("$instance", ".*").replace("$destination", "/nowhere");
        let answer = prometheus.ask(&none).unwrap();
        let is_none = answer.is_empty() || answer.starts_with("{} => 0 @");
        assert!(is_none, "{title}: {query}: {answer}");
    }
    // The labels in the legends and in the variables are those that there are.
    let sample = prometheus.ask("counterpart_last_run_timestamp_seconds").unwrap();
    let legend = regex::Regex::new(r"\{\{([a-z_]+)\}\}").unwrap();
    let text = dashboard["panels"].to_string();
    let mut labels: BTreeSet<String> = legend.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let query = variable["query"]["query"].as_str().unwrap();
            assert_eq!(query, variable["definition"].as_str().unwrap());
            let (metric, label) = query
                .strip_prefix("label_values(")
                .unwrap()
                .strip_suffix(')')
                .unwrap()
                .rsplit_once(", ")
                .unwrap();
            assert_eq!(label, variable["name"].as_str().unwrap());
            assert!(!prometheus.ask(&metric.replace("$instance", ".*")).unwrap().is_empty(), "{metric}");
            labels.insert(label.to_owned());
        }
    }
    assert_eq!(labels.len(), 2, "{labels:?}");
    for label in labels {
        assert!(sample.contains(&format!("{label}=\"")), "{label}: {sample}");
    }
}

#[test]
fn it_shows_every_metric_that_is_written_and_no_other() {
    let shown: BTreeSet<String> =
        queries(&dashboard()).iter().flat_map(|(_, query)| metrics(query)).collect();
    let written = written();
    let samples: String =
        written.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let names = samples.lines().map(|line| line.split('{').next().unwrap().to_owned());
    assert_eq!(shown, names.collect::<BTreeSet<_>>());
}

#[test]
fn its_panels_have_ids_places_and_a_data_source_of_their_own() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    assert!(
        dashboard["id"].is_null() && dashboard["uid"] == "counterpart" && dashboard["title"] == "Counterpart"
    );
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let known = ["stat", "bargauge", "timeseries", "state-timeline"];
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title}");
        assert!(known.contains(&panel["type"].as_str().unwrap()), "{title}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{title}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} overlaps another panel");
            }
        }
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{title}");
            assert_eq!(
                target["datasource"],
                json!({ "type": "prometheus", "uid": "${datasource}" }),
                "{title}"
            );
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
    // Nothing is left free between them, and a variable stands for the data source.
    assert_eq!(taken.len() % 24, 0);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!((&variables[0]["type"], &variables[0]["query"]), (&json!("datasource"), &json!("prometheus")));
}
