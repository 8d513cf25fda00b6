//! The tables of the pages against the program's own: codes, checks, remedies, links. That of the metrics is held against
//! them by their own story.

use std::collections::BTreeSet;

use gateway_domain::{Advice, Code, Detail};
use gateway_server::{audit::Event, gate::Check};

use super::page::{Page, all, root};

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn word(advice: Advice) -> &'static str {
    match advice {
        Advice::Refresh => "refresh",
        Advice::Wait => "wait",
        Advice::Stop => "stop",
    }
}

#[test]
fn the_table_of_codes_is_the_programs() {
    let page = Page::read("docs/protocol.md");
    let rows: Vec<_> = page.rows(5).into_iter().filter(|row| Code::by_name(&row[0]).is_some()).collect();
    let told: Vec<_> = rows.iter().map(|row| row[..4].to_vec()).collect();
    let own: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            let (http, close) = (or_dash(code.http_status()), or_dash(code.close_code()));
            vec![code.name().to_owned(), http, close, or_dash(code.advice().map(word))]
        })
        .collect();
    assert_eq!(told, own, "docs/protocol.md, the table of codes");
    for row in rows {
        assert!(!row[4].is_empty(), "{} has no words", row[0]);
    }
}

#[test]
fn every_detail_of_an_invalid_token_is_told() {
    for path in ["docs/protocol.md", "docs/troubleshooting.md"] {
        let page = Page::read(path);
        for detail in Detail::ALL {
            assert!(page.text.contains(&format!("`{}`", detail.name())), "{path} does not tell {}", detail.name());
        }
    }
}

#[test]
fn the_order_of_the_checks_is_the_gates() {
    let page = Page::read("docs/protocol.md");
    let told: Vec<_> = page
        .text
        .lines()
        .filter_map(|line| line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok()))
        .map(|(_, question)| question.split('?').next().unwrap_or_default())
        .collect();
    let own: Vec<_> = Check::ORDER.iter().map(|check| check.question()).collect();
    assert_eq!(told, own, "docs/protocol.md, the order of a handshake");
}

#[test]
fn every_code_has_a_remedy() {
    let page = Page::read("docs/troubleshooting.md");
    let headings = page.headings();
    for code in Code::ALL {
        let has_heading = headings.iter().any(|heading| heading.split(", ").any(|name| name == code.name()));
        assert!(has_heading, "docs/troubleshooting.md: a heading for {code}");
    }
}

#[test]
fn the_events_of_the_audit_are_told() {
    const EVENTS: &[Event] = &[
        Event::Refused,
        Event::Connected,
        Event::Disconnected,
        Event::TokenRefreshed,
        Event::TokenRefused,
        Event::TokenIssued,
        Event::TokenReused,
        Event::MessageRefused,
        Event::LimitViolated,
        Event::PlanUnknown,
        Event::BanLaid,
        Event::BanLifted,
        Event::Revoked,
        Event::Kicked,
        Event::WebhookFailed,
        Event::WebhookCircuitOpen,
        Event::WebhookCircuitClosed,
        Event::Drain,
        Event::Reload,
        Event::Gateway,
    ];
    let page = Page::read("docs/operations.md");
    for event in EVENTS {
        assert!(
            page.text.contains(&format!("`{}`", event.name())),
            "docs/operations.md does not tell {}",
            event.name()
        );
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let alerts: serde_json::Value = serde_yaml_ng::from_str(&alerts).unwrap();
    let groups = alerts["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let ringing: BTreeSet<&str> = rules.filter_map(|rule| rule["alert"].as_str()).collect();
    assert!(ringing.len() >= 20, "{ringing:?}");
    let page = Page::read("docs/operations.md");
    let (_, runbooks) = page.text.split_once("\n## Runbooks\n").expect("runbooks");
    let told: BTreeSet<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(told, ringing, "docs/operations.md, the runbooks");
}

#[test]
fn every_page_is_in_the_index() {
    let index = Page::read("docs/README.md");
    let folder = root().join("docs");
    let listed: BTreeSet<_> = index.links().iter().filter_map(|link| folder.join(link).canonicalize().ok()).collect();
    let mut pages = all();
    for entry in std::fs::read_dir(folder.join("adr")).unwrap() {
        pages.push(format!("docs/adr/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    for path in pages.iter().filter(|path| *path != "docs/README.md") {
        assert!(listed.contains(&root().join(path).canonicalize().unwrap()), "docs/README.md does not list {path}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = all();
    pages.extend(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned));
    for path in pages {
        let page = Page::read(&path);
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&path) } else { folder.join(file) };
            assert!(target.exists(), "{path}: {link} leads nowhere");
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap();
                let found = there.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
                assert!(found, "{path}: {link} names no heading there");
            }
        }
    }
}

/// The anchor of a heading, as the common renderers make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let mut sources = String::new();
    let mut folders = ["crates", "apps", "tests"].map(|name| root().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let page = Page::read("docs/security.md");
    let mut named = 0;
    for row in page.rows(3) {
        for test in row[2].split(", ").filter(|name| name.contains('_')) {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "docs/security.md names {test}, and there is no such test"
            );
            named += 1;
        }
    }
    assert!(named >= 40, "only {named} tests are named");
}
