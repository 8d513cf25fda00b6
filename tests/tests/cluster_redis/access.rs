//! How a node is let in to Redis, by TLS, a password and a user, and what it writes there: the keys and channels that the page names.

use std::time::Duration;

use gateway_cluster::redis::{Fault, NAMES, Settings, Tls};
use gateway_domain::{
    link::{Act, Answer, Book, Channel, Hearer, SeatClaim},
    plan::OnConnectionLimit::RejectNew,
};
use gateway_tests::{
    linked::{Engine, Linked, claim, posting, room, settings},
    redis::{Redis, Rules},
    secure,
};

use super::news;

#[tokio::test]
async fn everything_works_by_tls_and_with_a_password() {
    let (files, _) = secure::certificate();
    let authority = files[0].1.clone();
    let rules = Rules { tls: Some(files), password: Some("opensesame".to_owned()), ..Rules::default() };
    let redis = Redis::with(rules);
    let trusting =
        |authority: Option<Vec<u8>>| Settings { tls: Some(Tls { authorities: authority }), ..settings(&redis.url()) };
    let mut a = Linked::open("a", trusting(Some(authority.clone()))).await.unwrap();
    a.up().await;
    a.follow(news()).await;
    assert_eq!(a.post(posting(&[news()], &["news"], "one")).await, Some(1));
    a.until("it is heard", |node| node.texts() == ["one"]).await;

    let (others, _) = secure::certificate();
    let fault = Linked::open("b", trusting(Some(others[0].1.clone()))).await.unwrap_err();
    assert!(matches!(fault, Fault::Tls { .. }), "{fault}");
    let fault = Linked::open("b", trusting(Some(b"no certificate".to_vec()))).await.unwrap_err();
    assert!(matches!(fault, Fault::Authorities { .. }), "{fault}");
    let wrong = Settings { password: Some(gateway_domain::Token::new("letmein")), ..trusting(Some(authority)) };
    let fault = Linked::open("b", wrong).await.unwrap_err();
    assert!(matches!(fault, Fault::Credentials { .. }), "{fault}");
}

#[tokio::test]
async fn what_no_waiting_mends_is_said_at_once_and_kindly() {
    let redis = Redis::with(Rules { password: Some("opensesame".to_owned()), ..Rules::default() });
    let address = format!("127.0.0.1:{}", redis.port);
    for (url, said) in [
        (format!("redis://:letmein@{address}"), "WRONGPASS"),
        (format!("redis://{address}"), "NOAUTH"),
        (format!("redis://nobody:letmein@{address}"), "WRONGPASS"),
    ] {
        let fault = Linked::open("a", settings(&url)).await.unwrap_err();
        let text = format!("{fault} {fault:?}");
        assert!(matches!(fault, Fault::Credentials { .. }), "{text}");
        assert!(text.contains(said) && text.contains(&address) && text.contains("Set the password"), "{text}");
        assert!(!text.contains("letmein") && !text.contains("opensesame"), "{text}");
    }
    redis.ask(&["ACL", "SETUSER", "weak", "on", ">weak", "+@all", "-evalsha", "~*", "&*"]);
    let fault = Linked::open("a", settings(&format!("redis://weak:weak@{address}"))).await.unwrap_err();
    assert!(matches!(fault, Fault::Credentials { .. }) && fault.to_string().contains("evalsha"), "{fault}");
    let sharded = Redis::with(Rules { more: vec!["cluster-enabled yes".to_owned()], ..Rules::default() });
    let fault = Linked::open("a", settings(&sharded.url())).await.unwrap_err();
    assert!(matches!(fault, Fault::Sharded { .. }), "{fault}");
}

/// Does each thing once that leaves a key or follows a channel.
async fn do_everything(a: &mut Linked) {
    let done = |answer: &Answer| assert!(!matches!(answer, Answer::Away));
    let noted = SeatClaim { note: Some("what a hook is told".into()), ..claim("ann", Some("press"), 9, RejectNew) };
    a.take(&noted).await;
    done(&a.order(Act::Enter { room: room("hall"), member: "cara".to_owned() }).await);
    let channels = [
        news(),
        Channel::Agent("press".parse().unwrap()),
        Channel::Role("dashboard".parse().unwrap()),
        Channel::Endpoint("/ws".into()),
        Channel::Every,
    ];
    for channel in &channels {
        a.follow(channel.clone()).await;
    }
    assert!(a.post(posting(&channels, &["news"], "one")).await.is_some());
    assert_eq!(a.recall("news", None).await.0.offset, 1);
    done(&a.order(Act::Tell { to: Hearer::All, letter: String::new() }).await);
    done(&a.order(Act::Read { book: Book::Bans, key: "k".to_owned() }).await);
    done(&a.order(Act::Unfollow(channels[1].clone())).await);
    a.follow(channels[1].clone()).await;
    for book in [Book::Bans, Book::Revocations, Book::Families, Book::Once, Book::Gone] {
        let (key, value, until) = ("k".to_owned(), Some("v".to_owned()), Some(Linked::later(Duration::from_secs(60))));
        done(&a.order(Act::Write { book, key, value, until, expected: None }).await);
    }
    done(&a.order(Act::Knock { key: "user:ann".to_owned(), every: Duration::from_secs(60), burst: 9 }).await);
    done(&a.order(Act::Spend(vec![("user:ann".to_owned(), 1)])).await);
}

/// The page that operators read.
fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cluster.md")).unwrap()
}

#[tokio::test]
async fn the_user_that_the_page_names_may_do_all_that_is_needed() {
    let redis = Redis::start();
    let page = page();
    let line = page.lines().find_map(|line| line.strip_prefix("user ")).expect("the page names a user");
    let words: Vec<&str> = line.split(' ').map(|word| if word == ">PASSWORD" { ">opensesame" } else { word }).collect();
    redis.ask(&[&["ACL", "SETUSER"], words.as_slice()].concat());
    let url = format!("redis://gateway:opensesame@127.0.0.1:{}", redis.port);
    let mut a = Linked::open("a", settings(&url)).await.unwrap();
    a.up().await;
    do_everything(&mut a).await;
    assert!(matches!(a.order(Act::Leave).await, Answer::Done));
    assert_eq!(redis.ask(&["ACL", "LOG"]), "*0\r\n", "nothing was denied to it");
}

#[tokio::test]
async fn every_key_and_channel_is_one_that_the_page_names() {
    let engine = Engine::redis();
    let Engine::Redis(redis) = &engine else { panic!("a Redis") };
    let (mut a, b) = (engine.join("a").await, engine.join("b").await);
    do_everything(&mut a).await;
    // For as long as nobody has given back what it held, a node that is gone is named here.
    redis.ask(&["ZADD", "gateway:1:lost", "1", "x"]);
    let channels = redis.ask(&["PUBSUB", "CHANNELS"]);
    let channels = channels.split("\r\n").filter(|line| line.starts_with("gateway:"));
    let seen = redis.keys().into_iter().chain(channels.map(str::to_owned));
    let mut kinds: Vec<String> = seen
        .map(|name| {
            let name = name.strip_prefix("gateway:1:").expect("all begin with the prefix and the version");
            let Some((kind, tag)) = name.split_once('{') else { return name.to_owned() };
            let tag = tag.strip_suffix('}').expect("a tag ends");
            match tag.split_once(':') {
                Some((word, _)) if !kind.starts_with("knock") && !kind.starts_with("spent") => {
                    format!("{kind}{{{word}:*}}")
                }
                _ if matches!(tag, "every" | "all") => format!("{kind}{{{tag}}}"),
                _ => format!("{kind}{{*}}"),
            }
        })
        .collect();
    kinds.sort();
    kinds.dedup();
    let mut named: Vec<&str> = NAMES.to_vec();
    named.sort_unstable();
    assert_eq!(kinds, named);
    let page = page();
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for name in named {
        assert!(rows.contains(&name), "docs/cluster.md has no row of `{name}`");
    }
    drop(b);
}
