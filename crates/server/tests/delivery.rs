//! Delivery, at the hub itself: a post comes once to whom it means, or once for each room with a history that it asked
//! for; a large room is told in passes, between which others are served, and everybody hears one order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "delivery/people.rs"]
mod people;

use gateway_domain::{Code, Refusal};
use gateway_server::{
    clock,
    hub::{Class, Ending, Post, Posted, WhenFull},
};
use people::{Hall, Person, rules, target};
use serde_json::{Value, json};

/// So many are told in one pass.
const PASS: usize = 256;

/// How many of them have something to read, that is no word of the gateway's own.
fn told(people: &[Person]) -> usize {
    people.iter().filter(|person| person.waiting() > 0).count()
}

#[test]
fn a_post_to_several_targets_comes_once_for_each_history_that_one_asked_for_and_else_once() {
    let hall = Hall::with(rules());
    let both = hall.person("both", "viewer");
    let (one, put, role, nobody) =
        (hall.person("one", "viewer"), hall.put("put"), hall.person("role", "guide"), hall.person("nobody", "viewer"));
    let guide = hall.person("guide", "guide");
    for (person, rooms) in
        [(&both, &["kept:a", "kept:b", "plain"][..]), (&one, &["kept:a"]), (&guide, &["kept:b", "plain"])]
    {
        rooms.iter().for_each(|room| hall.subscribe(person, room));
    }
    let everybody = [&both, &one, &put, &role, &nobody, &guide];
    everybody.iter().for_each(|person| drop(person.read()));

    let sent = hall.post(&["room:kept:a", "room:kept:b", "room:plain", "room:put", "role:guide", "user:both"], 1, None);
    assert_eq!(sent, 5, "so many connections, however often each is told");
    let a = || json!({"type": "say", "n": 1, "room": "kept:a", "offset": 1});
    let b = || json!({"type": "say", "n": 1, "room": "kept:b", "offset": 1});
    let bare = || json!({"type": "say", "n": 1});
    assert_eq!(both.read(), [a(), b()]);
    assert_eq!(one.read(), [a()]);
    assert_eq!(guide.read(), [b()], "a history that one asked for, and not once more for the role");
    assert_eq!((put.read(), role.read()), (vec![bare()], vec![bare()]));
    assert!(nobody.read().is_empty());

    // The same target twice is one, and so is one connection by two names.
    assert_eq!(hall.post(&["room:plain", "user:one", "room:plain", "connection:ONE"], 2, Some(&one)), 2);
    assert_eq!((both.read().len(), guide.read().len(), one.read().len()), (1, 1, 0));
}

#[test]
fn only_the_target_sender_comes_back_to_whoever_sends() {
    let hall = Hall::with(rules());
    let (ann, bob) = (hall.person("ann", "viewer"), hall.person("bob", "viewer"));
    for person in [&ann, &bob] {
        hall.subscribe(person, "plain");
        person.read();
    }
    for targets in
        [&["room:plain"][..], &["role:viewer"], &["endpoint:/ws"], &["role:viewer", "room:plain", "user:ann"]]
    {
        assert_eq!(hall.post(targets, 1, Some(&ann)), 1, "{targets:?}");
        assert_eq!((ann.read().len(), bob.read().len()), (0, 1), "{targets:?}");
    }
    assert_eq!(hall.post(&["sender", "room:plain"], 2, Some(&ann)), 2);
    assert_eq!((ann.read().len(), bob.read().len()), (1, 1));
}

#[tokio::test]
async fn between_the_passes_over_two_thousand_members_a_small_post_is_told_at_once() {
    let hall = Hall::with(rules());
    let (large, small) = (hall.crowd(2_000, "plain"), hall.person("small", "viewer"));
    hall.subscribe(&small, "kept:a");
    small.read();
    let Posted::Underway(mut count) = hall.posting(&["room:plain"], 1, None).unwrap() else { panic!("a large one") };
    let (mut before, mut turns) = (0, 0);
    while before < large.len() {
        tokio::task::yield_now().await;
        let now = told(&large);
        assert!(now - before <= PASS, "{} in one turn", now - before);
        before = now;
        turns += 1;
        // Nobody waits for the rest of it.
        assert_eq!(hall.post(&["room:kept:a"], turns, None), 1);
        assert_eq!(hall.post(&["user:small"], turns, None), 1);
        assert_eq!(small.read().len(), 2);
        assert!(turns < 100, "it comes to its end");
        if now < large.len() {
            assert!(count.try_recv().is_err(), "it is not done before it is done");
        }
    }
    assert!(turns >= 2_000 / PASS as u64);
    assert_eq!(count.await.unwrap().unwrap().count, 2_000);
    assert!(large.iter().all(|person| person.read() == [json!({"type": "say", "n": 1})]));
}

#[tokio::test]
async fn a_pass_yields_where_it_meets_only_those_who_have_the_post_already() {
    let hall = Hall::with(rules());
    let large = hall.crowd(2_000, "kept:a");
    let guide = hall.person("guide", "guide");
    let Posted::Underway(count) = hall.posting(&["room:kept:a", "role:guide"], 1, None).unwrap() else {
        panic!("a large one")
    };
    let mut turns = 0;
    while guide.waiting() == 0 {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert_eq!(count.await.unwrap().unwrap().count, large.len() + 1);
    assert!(turns >= 2 * 2_000 / PASS, "those who subscribed were met, and then the others were looked for: {turns}");
}

#[tokio::test]
async fn what_a_sender_posts_to_one_is_told_behind_what_it_posted_to_many() {
    let hall = Hall::with(rules());
    let (sender, people) = (hall.person("sender", "viewer"), hall.crowd(600, "plain"));
    let last = hall.person("last", "guide");
    hall.subscribe(&last, "plain");
    last.read();
    let mut underway = Vec::new();
    for (n, target) in ["room:plain", "role:guide", "room:plain", "role:guide"].into_iter().enumerate() {
        match hall.posting(&[target], n as u64, Some(&sender)).unwrap() {
            Posted::Underway(done) => underway.push(done),
            Posted::Done(_) => panic!("{n} has overtaken what was said before"),
        }
    }
    assert_eq!(hall.post(&["user:last"], 9, Some(&people[0])), 1, "nobody else waits for that");
    for done in underway {
        done.await.unwrap().unwrap();
    }
    let heard: Vec<_> = last.read().iter().map(|said| said["n"].as_u64().unwrap()).collect();
    assert_eq!(heard, [9, 0, 1, 2, 3]);
    assert_eq!(hall.post(&["role:guide"], 4, Some(&sender)), 1, "it is all told, and nothing is remembered of it");
}

#[tokio::test]
async fn in_a_busy_room_everybody_hears_one_order_however_small_a_later_post_is() {
    let hall = Hall::with(rules());
    let people = hall.crowd(600, "kept:a");
    let mut underway = Vec::new();
    for n in 1..=5 {
        // The second half of the members has not been told of the first post by now.
        let targets: &[&str] = if n % 2 == 0 { &["room:kept:a"] } else { &["room:kept:a", "role:guide"] };
        match hall.posting(targets, n, Some(&people[n as usize])).unwrap() {
            Posted::Underway(done) => underway.push(done),
            Posted::Done(_) => panic!("post {n} overtook those before it"),
        }
        tokio::task::yield_now().await;
    }
    for done in underway {
        assert_eq!(done.await.unwrap().unwrap().count, 599);
    }
    for (at, person) in people.iter().enumerate() {
        let heard = person.read();
        let numbers: Vec<_> = heard.iter().map(|message| message["n"].as_u64().unwrap()).collect();
        let expected: Vec<_> = (1..=5).filter(|n| *n != at as u64).collect();
        assert_eq!(numbers, expected);
        assert!(heard.iter().all(|message| message["offset"] == message["n"]), "{heard:?}");
    }
    // A room that has come to rest is told at once again.
    let few = hall.crowd(3, "kept:b");
    assert_eq!(hall.post(&["room:kept:b"], 6, None), few.len());
}

#[tokio::test]
async fn who_comes_or_goes_while_a_post_is_under_way_hears_it_once_or_not_at_all() {
    let hall = Hall::with(rules());
    let mut people = hall.crowd(600, "kept:a");
    let late = hall.person("late", "viewer");
    let back = hall.person("back", "viewer");
    let Posted::Underway(count) = hall.posting(&["room:kept:a"], 1, None).unwrap() else { panic!("a large one") };
    // It was posted before they came: one begins behind it, the other asks for it.
    hall.subscribe(&late, "kept:a");
    let position = late.read().remove(0)["payload"].clone();
    assert_eq!(position["offset"], 1);
    hall.subscribe_since(&back, "kept:a", json!({"epoch": position["epoch"], "offset": 0}));
    // A member that asks again for what is on its way to it has it by that, and not a second time.
    hall.subscribe_since(&people[599], "kept:a", json!({"epoch": position["epoch"], "offset": 0}));
    let mut leaving = people.split_off(550);
    let again = leaving.pop().unwrap();
    drop(leaving);
    assert_eq!(count.await.unwrap().unwrap().count, people.len());
    assert!(people.iter().all(|person| person.read().len() == 1));
    assert!(late.read().is_empty());
    for person in [back, again] {
        let kinds: Vec<_> = person.read().iter().map(|message| message["type"].clone()).collect();
        assert_eq!(kinds, ["subscribed", "say"]);
    }
}

#[tokio::test]
async fn more_than_can_be_carried_is_refused_and_counted() {
    let hall = Hall::with(rules());
    let _people = hall.crowd(300, "plain");
    let large = json!({"type": "say", "text": "x".repeat(8 << 20)}).to_string();
    let posting = |text: &str| {
        let targets = [target("room:plain")];
        let post = Post { counted: true, ..Post::new(text.into(), &targets, Class::Event) };
        hall.hub.post(post, clock::now())
    };
    let mut underway = Vec::new();
    let refusal = loop {
        match posting(&large) {
            Ok(Posted::Underway(done)) => underway.push(done),
            Ok(Posted::Done(_)) => panic!("a large room"),
            Err(refusal) => break refusal,
        }
        assert!(underway.len() < 9, "64 MiB are the most");
    };
    assert_eq!((refusal.code, underway.len()), (Code::LimitExceeded, 7));
    assert!(refusal.retry_after.is_some());
    // A small one waits for nobody elsewhere; and when all is done there is room again.
    let small = hall.crowd(1, "kept:a");
    assert_eq!(hall.post(&["room:kept:a"], 1, None), small.len());
    for done in underway {
        done.await.unwrap().unwrap();
    }
    assert!(posting(&large).is_ok());
}

#[test]
fn a_full_outbox_ends_its_own_connection_and_nobody_elses() {
    let mut tight = rules();
    tight.outbox.messages = 3;
    let hall = Hall::with(tight.clone());
    let (slow, quick) = (hall.person("slow", "viewer"), hall.person("quick", "viewer"));
    for n in 1..=4 {
        let expected = if n == 4 { 1 } else { 2 };
        assert_eq!(hall.post(&["role:viewer"], n, None), expected, "post {n}");
        assert_eq!(quick.read().len(), 1);
    }
    assert_eq!(slow.sent_away(), Some(Code::SlowConsumer));
    assert_eq!(quick.sent_away(), None);

    tight.outbox.when_full = WhenFull::DropOldest;
    let hall = Hall::with(tight);
    let slow = hall.person("slow", "viewer");
    for n in 1..=9 {
        assert_eq!(hall.post(&["role:viewer"], n, None), 1);
    }
    let numbers: Vec<_> = slow.read().iter().map(|message| message["n"].clone()).collect();
    assert_eq!((numbers, slow.sent_away()), (vec![json!(7), json!(8), json!(9)], None));
}

#[test]
fn followers_of_an_agent_learn_why_it_went() {
    let hall = Hall::with(rules());
    let ours = |code| Ending::Ours(Refusal::plain(code));
    for (ending, reason) in [
        (Ending::Peer(Some(1000)), "closed"),
        (Ending::Peer(None), "closed"),
        (Ending::Lost("reset".into()), "closed"),
        (Ending::Aborted, "closed"),
        (ours(Code::HeartbeatTimeout), "timeout"),
        (ours(Code::IdleTimeout), "timeout"),
        (ours(Code::Disconnected), "kicked"),
        (ours(Code::Banned), "kicked"),
        (ours(Code::TokenExpired), "kicked"),
        (ours(Code::SlowConsumer), "kicked"),
        (ours(Code::Draining), "drained"),
    ] {
        let follower = hall.person("ann", "viewer");
        hall.subscribe(&follower, "agents");
        follower.read();
        hall.agent("a1").ends(ending);
        let told = follower.read();
        let kinds: Vec<_> = told.iter().map(|message| message["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["agent.online", "agent.offline"]);
        let payloads = told.iter().map(|message| (&message["payload"]["agentId"], &message["payload"]["reason"]));
        let id = json!("a1");
        assert!(payloads.eq([(&id, &Value::Null), (&id, &json!(reason))]), "{told:?}");
    }
}

#[test]
fn an_agent_that_comes_again_replaces_itself_and_its_first_end_takes_nothing_from_the_second() {
    let hall = Hall::with(rules());
    let follower = hall.person("ann", "viewer");
    hall.subscribe(&follower, "agents");
    let first = hall.agent("a1");
    let second = hall.agent("a1");
    assert_eq!((first.sent_away(), second.sent_away()), (Some(Code::Replaced), None));
    let told = follower.read();
    let sightings: Vec<_> =
        told.iter().skip(1).map(|message| (&message["type"], &message["payload"]["reason"])).collect();
    let (online, offline) = (json!("agent.online"), json!("agent.offline"));
    assert_eq!(sightings, [(&online, &Value::Null), (&offline, &json!("replaced")), (&online, &Value::Null)]);
    drop(first);
    assert!(follower.read().is_empty());
    assert_eq!(hall.post(&["agent:a1"], 1, None), 1);
    assert_eq!(second.read().len(), 1);
    let plan = people::plan();
    let mut other = people::principal("other", "agent");
    other.agent = Some("a1".parse().unwrap());
    assert_eq!(hall.hub.take_seat(&other, &plan, true).unwrap_err().code, Code::AgentIdTaken);
}
