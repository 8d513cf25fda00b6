//! The typed publishers that ship with the dashboard example: those that the program writes from its schemas, in Rust and
//! in TypeScript. What they publish arrives, what has another form does not compile, what is refused is told with code
//! and place, and an event whose answer was lost is told once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "publishers/flaky.rs"]
mod flaky;
#[path = "../../deploy/examples/dashboard/publisher/rust/publisher.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a module of somebody else's program")]
mod publisher;
#[path = "publishers/typescript.rs"]
mod typescript;

use std::{path::Path, time::Duration};

use flaky::Flaky;
use gateway_tests::{
    TestClient, TestGateway, example, process::stopwatch, program::run, rooms::dashboard, tokens::token,
};
use publisher::{
    BuildStatus, Credential, DashboardError, DashboardPartialPartsUpdatedItem, DashboardRecentMocAdded,
    DashboardSummaryUpdated, DashboardThemeBreakdownUpdatedItem, Event, MocsByBuildStatus, MocsByCoverageStatus,
    PublishError, Publisher, Refused,
};
use serde_json::{Value, json};
use typescript::Compiled;
use uuid::Uuid;

const EXAMPLE: &str = "dashboard";

fn rust(gateway: &str) -> Publisher {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Publisher::new(gateway, Credential::Bearer(token("backend", "service"))).unwrap().with_client(client)
}

fn partial(percentage: f64) -> Event {
    Event::DashboardPartialPartsUpdated(vec![DashboardPartialPartsUpdatedItem {
        id: "m1".into(),
        title: "Lighthouse".into(),
        theme: "Harbour".into(),
        build_status: BuildStatus::InProgress,
        coverage_percentage: percentage,
        last_updated_at: "2026-01-01T00:00:00Z".into(),
    }])
}

/// One of each type.
fn all_five() -> [Event; 5] {
    [
        Event::DashboardSummaryUpdated(DashboardSummaryUpdated {
            total_mocs: 12,
            total_wishlist_items: 0,
            mocs_by_build_status: MocsByBuildStatus { added: 3, in_progress: 4, built: 5 },
            mocs_by_coverage_status: MocsByCoverageStatus { full_inventory: 5, partial_ordered: 6, none: 1 },
        }),
        Event::DashboardRecentMocAdded(DashboardRecentMocAdded {
            id: "m1".into(),
            title: "Lighthouse".into(),
            theme: "Harbour".into(),
            build_status: BuildStatus::Added,
            cover_image_url: None,
            created_at: "2026-01-01T00:00:00Z".into(),
        }),
        partial(62.5),
        Event::DashboardThemeBreakdownUpdated(vec![DashboardThemeBreakdownUpdatedItem {
            theme: "Harbour".into(),
            moc_count: 2,
            set_count: 1,
        }]),
        Event::DashboardError(DashboardError { code: "STALE".into(), message: "from yesterday".into() }),
    ]
}

async fn tell_ann(publisher: &Publisher) -> Result<u64, PublishError> {
    let harbour = DashboardThemeBreakdownUpdatedItem { theme: "Harbour".into(), moc_count: 2, set_count: 1 };
    let event = Event::DashboardThemeBreakdownUpdated(vec![harbour]);
    let published = publisher.publish(&["user:ann"], &event).await?;
    Ok(published.delivered)
}

/// What they all look like to a page, without id and time.
fn as_heard() -> Vec<Value> {
    let moc = json!({"id": "m1", "title": "Lighthouse", "theme": "Harbour"});
    let with = |more: Value| {
        let mut all = moc.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let time = "2026-01-01T00:00:00Z";
    vec![
        json!({"type": "dashboard:summaryUpdated", "payload": {
            "totalMocs": 12, "totalWishlistItems": 0,
            "mocsByBuildStatus": {"ADDED": 3, "IN_PROGRESS": 4, "BUILT": 5},
            "mocsByCoverageStatus": {"FULL_INVENTORY": 5, "PARTIAL_ORDERED": 6, "NONE": 1},
        }}),
        json!({"type": "dashboard:recentMocAdded",
            "payload": with(json!({"buildStatus": "ADDED", "coverImageUrl": null, "createdAt": time}))}),
        json!({"type": "dashboard:partialPartsUpdated",
            "payload": [with(json!({"buildStatus": "IN_PROGRESS", "coveragePercentage": 62.5, "lastUpdatedAt": time}))]}),
        json!({"type": "dashboard:themeBreakdownUpdated",
            "payload": [{"theme": "Harbour", "mocCount": 2, "setCount": 1}]}),
        json!({"type": "dashboard:error", "payload": {"code": "STALE", "message": "from yesterday"}}),
    ]
}

/// The page hears exactly these, in this order, each under the id that its publisher was told; and so many more.
async fn hears_all(page: &mut TestClient, ids: &[Value], more: usize) {
    assert_eq!(ids.len(), 5);
    for (wanted, id) in as_heard().into_iter().zip(ids) {
        let event = page.json().await;
        assert_eq!((&event["type"], &event["payload"]), (&wanted["type"], &wanted["payload"]));
        assert_eq!(&event["eventId"], id, "{event}");
    }
    assert_eq!(page.heard().await.len(), more);
}

#[test]
fn the_publishers_that_ship_are_those_that_the_program_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(EXAMPLE);
    for (language, file) in
        [("rust", "publisher/rust/publisher.rs"), ("typescript", "publisher/typescript/publisher.ts")]
    {
        // As on a developer's machine: the secret is not there.
        let (code, written, faults) = run(&folder, &["events", "codegen", "--language", language], "", &[]);
        assert_eq!(code, Some(0), "{faults}");
        let command = format!("gateway events codegen --language {language} > {file}");
        assert!(written == example::file(EXAMPLE, file), "{file} is out of date: run `{command}` in the example");
    }
}

#[test]
fn without_a_schema_there_is_nothing_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let key = "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"elsewhere.txt\"\n";
    for (config, what) in [(None, "there is no configuration"), (Some(key), "names no schema in events.schemas")] {
        if let Some(config) = config {
            std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        }
        let (code, written, faults) = run(folder.path(), &["events", "codegen", "--language", "rust"], "", &[]);
        assert_eq!((code, written.as_str()), (Some(2), ""), "{faults}");
        assert!(faults.contains(what), "{faults}");
    }
}

#[tokio::test]
async fn all_five_types_of_the_rust_publisher_arrive() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut page = dashboard(&gateway, "ann").await;
    let publisher = rust(&gateway.http(""));
    let mut ids = Vec::new();
    for event in all_five() {
        let published = publisher.publish(&["user:ann"], &event).await.unwrap();
        assert_eq!((published.delivered, published.duplicate), (1, false));
        ids.push(json!(published.event_id));
    }
    hears_all(&mut page, &ids, 0).await;
    assert_eq!(tell_ann(&publisher).await.unwrap(), 1);
}

#[tokio::test]
async fn all_five_types_of_the_typescript_publisher_arrive_and_nothing_else_compiles() {
    // `publisher.ts` has a line that must not compile for each way to be wrong.
    let compiled = Compiled::publisher();
    let gateway = example::open(EXAMPLE, &[]);
    let mut page = dashboard(&gateway, "ann").await;
    let said = compiled.run(&gateway.http(""), &token("backend", "service")).await;
    let ids: Vec<_> = said.iter().filter(|line| line["delivered"] == 1).map(|line| line["eventId"].clone()).collect();
    hears_all(&mut page, &ids, 1).await;
    let refused = &said[5..];
    assert_eq!(refused[0]["code"], "SCHEMA_MISMATCH", "{refused:?}");
    assert_eq!(refused[0]["status"], 422);
    assert_eq!(refused[0]["details"][0]["path"], "/payload/0/coveragePercentage");
    assert_eq!((&refused[1]["code"], &refused[1]["status"]), (&json!("TOKEN_INVALID"), &json!(401)));
    assert_eq!(refused[2..], [json!({"told": 1})], "{refused:?}");
}

#[tokio::test]
async fn what_the_types_cannot_say_is_refused_with_its_place() {
    let gateway = example::open(EXAMPLE, &[]);
    let publisher = rust(&gateway.http("/"));
    let refused = refusal(publisher.publish(&["user:ann"], &partial(101.0)).await);
    assert_eq!((refused.status, refused.code.as_str()), (422, "SCHEMA_MISMATCH"));
    assert_eq!(refused.details[0].path, "/payload/0/coveragePercentage");
    assert!(refused.request_id.is_some());
    let refused = refusal(publisher.publish(&["ann"], &partial(1.0)).await);
    assert_eq!((refused.status, refused.code.as_str()), (400, "INVALID_REQUEST"));
    assert_eq!(refused.details[0].path, "/to/0");
    let mut stranger = publisher.clone();
    stranger.renew(Credential::ApiKey("nobody's".into()));
    let refused = refusal(stranger.publish(&["user:ann"], &partial(1.0)).await);
    assert_eq!((refused.status, refused.code.as_str()), (401, "TOKEN_INVALID"));
    assert!(!format!("{stranger:?}").contains("nobody"), "no key is ever printed");
}

fn refusal(told: Result<publisher::Published, PublishError>) -> Refused {
    match told {
        Err(PublishError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_event_is_sent_again_under_its_id_until_it_is_answered() {
    let flaky = Flaky::start(flaky::USUAL).await;
    let watch = stopwatch();
    let published = rust(&flaky.address).publish(&["user:ann"], &partial(1.0)).await.unwrap();
    assert!(watch.elapsed() >= Duration::from_secs(1), "it waits as long as the gateway asks it to");
    assert_eq!(published.delivered, 1);
    flaky.heard_one_event_each_time();
}

#[tokio::test]
async fn the_typescript_publisher_does_so_too() {
    let compiled = Compiled::publisher();
    let flaky = Flaky::start(flaky::USUAL).await;
    let watch = stopwatch();
    let said = compiled.once(&flaky.address).await;
    assert!(watch.elapsed() >= Duration::from_secs(1), "it waits as long as the gateway asks it to");
    assert_eq!(said[0]["delivered"], 1, "{said:?}");
    flaky.heard_one_event_each_time();
}

#[tokio::test]
async fn patience_ends_and_the_caller_may_come_back_with_the_id() {
    let flaky = Flaky::start(&[flaky::Answer::Busy { seconds: 1_800 }]).await;
    let publisher = rust(&flaky.address);
    let refused = refusal(publisher.publish(&["user:ann"], &partial(1.0)).await);
    assert_eq!((refused.status, refused.code.as_str(), refused.retry_after), (429, "RATE_LIMITED", Some(1_800)));
    let nowhere = rust("http://127.0.0.1:1").with_patience(Duration::ZERO);
    let id = Uuid::new_v4();
    match nowhere.publish_as(id, &["user:ann"], &partial(1.0)).await {
        Err(PublishError::NoAnswer { event_id, .. }) => assert_eq!(event_id, id),
        other => panic!("{other:?}"),
    }
    // And where the first answer was lost, the second says that it had been told.
    let gateway: TestGateway = example::open(EXAMPLE, &[]);
    let mut page = dashboard(&gateway, "ann").await;
    let publisher = rust(&gateway.http(""));
    let first = publisher.publish_as(id, &["user:ann"], &partial(1.0)).await.unwrap();
    let again = publisher.publish_as(id, &["user:ann"], &partial(1.0)).await.unwrap();
    assert_eq!((first.event_id, first.duplicate, again.event_id, again.duplicate), (id, false, id, true));
    assert_eq!(page.heard().await.len(), 1);
}
