//! Order: what one says to another comes in the order in which it was said, to each connection that it is meant for
//! and to nobody else, whoever speaks at once; and everybody in a room hears the same story, in a large one, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{SinkExt, future::join_all};
use gateway_tests::{TestClient, TestGateway, chance::Chance, rooms::unlimited, tokens::token};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

const NOTES: &str = "[[routes]]\ntypes = [\"note\"]\nto = \"user:{payload.to}\"\n\
                     [[routes]]\ntypes = [\"say\"]\nto = \"room:{payload.room}\"\n";
const USERS: usize = 100;
const CONNECTIONS: usize = 3;
const NOTES_EACH: usize = 40;

/// Connects so many at once, a few at a time.
async fn many(gateway: &TestGateway, path: &str, users: impl Iterator<Item = String>) -> Vec<TestClient> {
    let mut clients = Vec::new();
    let mut users = users.peekable();
    while users.peek().is_some() {
        let tokens: Vec<_> = users.by_ref().take(50).map(|user| token(&user, "viewer")).collect();
        let coming = tokens.iter().map(|token| TestClient::greeted(gateway, path, token));
        clients.extend(join_all(coming).await.into_iter().map(|(client, _)| client));
    }
    clients
}

/// What a connection said, to whom: its numbers count from 0 for each user.
type Said = BTreeMap<usize, usize>;

/// Speaks to users at random, in bursts and pauses, and hears what is said to its own until all have spoken.
fn converse(
    mut client: TestClient,
    me: usize,
    seed: u64,
    together: Arc<Barrier>,
) -> JoinHandle<(TestClient, Said, Vec<Value>)> {
    tokio::spawn(async move {
        let (mut chance, mut said) = (Chance::of(seed), Said::new());
        together.wait().await;
        for _ in 0..NOTES_EACH {
            let to = if chance.one_in(4) { me / CONNECTIONS } else { chance.below(USERS) };
            let n = said.entry(to).or_default();
            let payload = json!({"to": format!("user{to}"), "for": to, "by": me, "n": *n});
            *n += 1;
            let note = json!({"type": "note", "payload": payload}).to_string();
            client.socket.feed(Message::text(note)).await.unwrap();
            match chance.below(6) {
                0 => client.socket.flush().await.unwrap(),
                1 => tokio::task::yield_now().await,
                2 => tokio::time::sleep(std::time::Duration::from_micros(chance.below(500) as u64)).await,
                _ => {}
            }
        }
        // The answer comes when all that it said is in its outboxes; then everybody's is.
        let mut heard = client.heard().await;
        together.wait().await;
        heard.extend(client.heard().await);
        (client, said, heard)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_of_a_user_hears_each_sender_in_order_and_nothing_of_anybody_elses() {
    let gateway = unlimited(NOTES);
    let users = (0..USERS * CONNECTIONS).map(|n| format!("user{}", n / CONNECTIONS));
    let mut clients = many(&gateway, "/ws", users).await;
    for _ in 0..3 {
        let seed = Chance::seed();
        let mut chance = Chance::of(seed);
        let together = Arc::new(Barrier::new(clients.len()));
        let talks = clients.into_iter().enumerate();
        let talks = talks.map(|(me, client)| converse(client, me, chance.any(), Arc::clone(&together)));
        let ended: Vec<_> = join_all(talks.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
        let said: Vec<_> = ended.iter().map(|(_, said, _)| said.clone()).collect();
        let mut deliveries = 0;
        clients = Vec::new();
        for (me, (client, _, heard)) in ended.into_iter().enumerate() {
            let mine = me / CONNECTIONS;
            let mut next: BTreeMap<usize, usize> = BTreeMap::new();
            for note in &heard {
                assert_eq!(note["type"], "note", "seed {seed}: {note}");
                let number = |name: &str| note["payload"][name].as_u64().unwrap() as usize;
                assert_eq!(number("for"), mine, "seed {seed}: {note} came to connection {me}");
                let by = number("by");
                assert_eq!(note["from"]["userId"], format!("user{}", by / CONNECTIONS));
                assert_ne!(by, me, "seed {seed}: nobody hears itself");
                let expected = next.entry(by).or_default();
                assert_eq!(number("n"), *expected, "seed {seed}: of connection {by} to connection {me}");
                *expected += 1;
            }
            for (by, said) in said.iter().enumerate().filter(|(by, _)| *by != me) {
                let to_me = said.get(&mine).copied().unwrap_or_default();
                assert_eq!(next.get(&by).copied().unwrap_or_default(), to_me, "seed {seed}: all of {by} came to {me}");
            }
            deliveries += heard.len();
            clients.push(client);
        }
        let all = USERS * CONNECTIONS * NOTES_EACH;
        assert!(deliveries > 2 * all, "{deliveries} of {all} notes, seed {seed}");
    }
}

const MEMBERS: usize = 600;
const SENDERS: usize = 8;
const WORDS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_members_hear_eight_senders_in_one_and_the_same_order() {
    let gateway = unlimited(&format!(
        "{NOTES}[rooms.default]\nhistory = {{ messages = 1000, bytes = \"8MiB\" }}\n\
         [[rooms.rules]]\nmatch = \"hall\"\njoin = [{{}}]\npresence = \"off\"\n\
         [[endpoints]]\npath = \"/asking\"\n[[endpoints]]\npath = \"/put\"\njoin = [\"hall\"]\n"
    ));
    // Half of them have asked for it, and half were put there; among them are half of those who speak.
    let mut members = many(&gateway, "/asking", (0..MEMBERS / 2).map(|n| format!("asking{n}"))).await;
    let mut epochs = Vec::new();
    for member in &mut members {
        epochs.push(member.join("hall").await["epoch"].clone());
    }
    members.extend(many(&gateway, "/put", (0..MEMBERS / 2).map(|n| format!("put{n}"))).await);
    let outside = many(&gateway, "/asking", (0..SENDERS / 2).map(|n| format!("outside{n}"))).await;
    let inside: Vec<_> = [0, 1].into_iter().flat_map(|_| [members.remove(0), members.pop().unwrap()]).collect();

    let hearing: Vec<_> = members.into_iter().map(|member| tokio::spawn(listen(member, SENDERS * WORDS))).collect();
    let mut speaking = Vec::new();
    for (by, mut sender) in outside.into_iter().chain(inside).enumerate() {
        speaking.push(tokio::spawn(async move {
            let mut chance = Chance::of(by as u64);
            for n in 0..WORDS {
                let payload = json!({"room": "hall", "by": by, "n": n});
                sender
                    .socket
                    .feed(Message::text(json!({"type": "say", "payload": payload}).to_string()))
                    .await
                    .unwrap();
                if chance.one_in(3) {
                    sender.socket.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            let is_inside = by >= SENDERS / 2;
            // It hears all the others, but not itself.
            let others = if is_inside { (SENDERS - 1) * WORDS } else { 0 };
            sender.socket.flush().await.unwrap();
            (by, listen(sender, others).await)
        }));
    }
    let stories: Vec<Story> = join_all(hearing).await.into_iter().map(Result::unwrap).collect();
    let told = &stories[0].words;
    for by in 0..SENDERS as u64 {
        let of_one: Vec<_> = told.iter().filter(|(sender, _)| *sender == by).map(|(_, n)| *n).collect();
        assert_eq!(of_one, (0..WORDS as u64).collect::<Vec<_>>(), "the words of {by}, each once and in order");
    }
    for story in &stories {
        assert!(story.words == *told, "everybody hears the same");
        assert!(story.offsets.iter().copied().eq(1..=(SENDERS * WORDS) as u64) || story.offsets.is_empty());
    }
    assert_eq!(stories.iter().filter(|story| story.offsets.is_empty()).count(), MEMBERS / 2 - 2);
    for spoken in join_all(speaking).await {
        let (by, story) = spoken.unwrap();
        let expected = told.iter().filter(|(sender, _)| *sender != by as u64 && by >= SENDERS / 2);
        assert!(story.words.iter().eq(expected), "{by} hears the same, but for its own words");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_to_one_does_not_overtake_the_word_to_all_that_was_said_before_it() {
    let gateway = unlimited(&format!("{NOTES}[[endpoints]]\npath = \"/put\"\njoin = [\"hall\"]\n"));
    let mut members = many(&gateway, "/put", (0..MEMBERS).map(|n| format!("put{n}"))).await;
    let mut sender = many(&gateway, "/put", ["sender".to_owned()].into_iter()).await.remove(0);
    for n in 0..20 {
        let say = json!({"type": "say", "payload": {"room": "hall", "by": 0, "n": n}});
        sender.socket.feed(Message::text(say.to_string())).await.unwrap();
        for to in (0..MEMBERS).step_by(20) {
            let note = json!({"type": "note", "payload": {"to": format!("put{to}"), "n": n}});
            sender.socket.feed(Message::text(note.to_string())).await.unwrap();
        }
    }
    assert!(sender.heard().await.is_empty());
    for (at, member) in members.iter_mut().enumerate() {
        let heard = member.heard().await;
        let heard: Vec<_> =
            heard.iter().map(|word| (word["type"].as_str().unwrap(), word["payload"]["n"].as_u64().unwrap())).collect();
        let kinds: &[&str] = if at % 20 == 0 { &["say", "note"] } else { &["say"] };
        let expected: Vec<_> = (0..20).flat_map(|n| kinds.iter().map(move |kind| (*kind, n))).collect();
        assert_eq!(heard, expected, "member {at}");
    }
}

/// What a member of the hall heard.
#[derive(Debug)]
struct Story {
    words: Vec<(u64, u64)>,
    offsets: Vec<u64>,
}

/// Listens until so many words have come, and that they were all.
async fn listen(mut member: TestClient, count: usize) -> Story {
    let mut story = Story { words: Vec::with_capacity(count), offsets: Vec::new() };
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.push(member.json().await);
    }
    all.extend(member.heard().await);
    for word in &all {
        let number = |name: &str| word["payload"][name].as_u64().unwrap();
        story.words.push((number("by"), number("n")));
        story.offsets.extend(word["offset"].as_u64());
    }
    story
}
