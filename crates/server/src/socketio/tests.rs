//! Sessions on a clock that stands still: every deadline to the second, the races of a move, and slow clients.

mod world;

use std::future::Future;

use gateway_domain::Code;
use tokio::sync::mpsc;

use self::world::{World, later, settle};
use super::session::Session;
use crate::hub::Transport;

/// Every session costs this much for as long as it lives, beside the connections of its namespaces.
#[test]
fn an_idle_session_stays_small() {
    fn future_size<A, F: Future>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }
    fn sent_size<T>(_: fn(&Session) -> &mpsc::Sender<T>) -> usize {
        size_of::<T>()
    }
    let (served, own) = (future_size(Session::run), size_of::<Session>());
    assert!(served <= 1_024, "the task of a session takes {served} bytes");
    assert!(own <= 768, "and what it holds {own} bytes");
    let told = sent_size(|session| &session.teller);
    assert!(told <= 8, "what goes through the queue takes {told} bytes, and room is kept for 32 of them");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_the_time_for_a_connect_and_no_more() {
    let world = World::new();
    let client = world.stranger();
    let held = client.poll();
    later(9.9).await;
    assert_eq!(world.sessions(), 1);
    later(0.2).await;
    assert_eq!(held.await.unwrap().unwrap(), "1");
    client.task.await.unwrap();
    assert_eq!(world.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_pinged_at_every_interval_and_given_up_when_nothing_comes() {
    let world = World::new();
    let client = world.poller().await;
    let held = client.poll();
    later(25.1).await;
    assert_eq!(held.await.unwrap().unwrap(), "2");
    client.say("3").await;
    let held = client.poll();
    later(25.1).await;
    assert_eq!(held.await.unwrap().unwrap(), "2", "who answers is asked again, and nothing else");
    later(19.8).await;
    assert_eq!(world.connections(), 1);
    later(0.3).await;
    assert_eq!((world.connections(), &*world.ending()), (0, "HEARTBEAT_TIMEOUT"));
    later(3.1).await;
    client.task.await.unwrap();
    assert_eq!(world.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_poll_counts_as_a_sign_of_life_and_one_that_is_given_up_ends_the_session() {
    let world = World::new();
    let client = world.poller().await;
    for _ in 0..4 {
        later(25.1).await;
        assert_eq!(client.poll().await.unwrap().unwrap(), "2");
    }
    let held = client.poll();
    settle().await;
    drop(held);
    settle().await;
    assert_eq!(world.connections(), 0);
    client.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_must_prove_that_it_lives_is_asked_at_once_and_has_two_seconds() {
    let world = World::new();
    let (alive, silent) = (world.poller().await, world.poller().await);
    let both = world.site.house.hub.of_user(&"ann".parse().unwrap());
    let (one, other) = (alive.poll(), silent.poll());
    settle().await;
    both.iter().for_each(|here| here.probe());
    assert_eq!((one.await.unwrap().unwrap(), other.await.unwrap().unwrap()), ("2".to_owned(), "2".to_owned()));
    alive.say("3").await;
    later(2.1).await;
    assert_eq!((world.connections(), &*world.ending()), (1, "HEARTBEAT_TIMEOUT"));
    let (mut socket, _task) = world.socket().await;
    let latest = world.occupant();
    latest.probe();
    assert_eq!(socket.text().await, "2");
    socket.say("3").await;
    later(2.1).await;
    assert_eq!(world.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_poll_is_a_slow_consumer_once_its_outbox_is_full() {
    let world = World::new();
    let client = world.poller().await;
    for n in 0..1_024 + 16 {
        world.publish(&n.to_string());
        settle().await;
        if world.connections() == 0 {
            break;
        }
    }
    later(0.0).await;
    assert_eq!((world.connections(), &*world.ending()), (0, "SLOW_CONSUMER"));
    let rest = client.poll().await.unwrap().unwrap();
    assert!(rest.starts_with("42/dashboard,[\"x\","), "what was on its way already: {rest}");
    let mut last = rest;
    while last != "1" {
        settle().await;
        last = client.poll().await.unwrap().unwrap();
    }
    client.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_read_is_a_slow_consumer_too() {
    let world = World::new();
    let (_far, task) = world.socket().await;
    let payload = format!("\"{}\"", "x".repeat(64 << 10));
    for _ in 0..200 {
        world.publish(&payload);
        settle().await;
        if world.connections() == 0 {
            break;
        }
    }
    assert_eq!((world.connections(), &*world.ending()), (0, "SLOW_CONSUMER"));
    later(4.0).await;
    later(4.0).await;
    task.await.unwrap();
    assert_eq!(world.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_while_a_client_moves_arrives_behind_the_move_in_its_order() {
    let world = World::new();
    let client = world.poller().await;
    let held = client.poll();
    let mut far = client.upgrade().await;
    far.say("2probe").await;
    assert_eq!(far.text().await, "3probe");
    assert_eq!(held.await.unwrap().unwrap(), "6");
    (0..3).for_each(|n| world.publish(&n.to_string()));
    settle().await;
    assert_eq!(far.at_hand(), None, "not before it has moved");
    let late = client.poll();
    far.say("5").await;
    for n in 0..3 {
        assert!(far.text().await.contains(&format!("\"payload\":{n}")));
    }
    assert_eq!(late.await.unwrap().unwrap(), "6", "a poll that came late says nothing of it");
    assert_eq!(world.occupant().transport(), Transport::SocketioWebsocket);
    assert!(client.poll().await.unwrap().is_err() && client.post(&["3"]).await.is_err());
    world.publish("\"after\"");
    assert!(far.text().await.contains("after"));
}

#[tokio::test(start_paused = true)]
async fn a_post_under_way_and_a_ping_survive_the_move() {
    let world = World::new();
    let client = world.poller().await;
    let mut far = client.upgrade().await;
    far.say("2probe").await;
    assert_eq!(far.text().await, "3probe");
    client.say("42/dashboard,1[\"ping\"]").await;
    later(25.1).await;
    // The move took longer than its patience: nothing is lost, and the old way goes on.
    let body = client.poll().await.unwrap().unwrap();
    assert_eq!(body, "2\u{1e}43/dashboard,1[{\"ok\":true}]");
    assert!(far.rest().await.is_empty());
    let mut far = client.upgrade().await;
    client.say("42/dashboard,2[\"ping\"]").await;
    far.say("2probe").await;
    assert_eq!(far.text().await, "3probe");
    far.say("5").await;
    assert_eq!(far.text().await, "43/dashboard,2[{\"ok\":true}]");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_polls_on_while_it_moves_is_held_back() {
    let world = World::new();
    let client = world.poller().await;
    let mut far = client.upgrade().await;
    far.say("2probe").await;
    assert_eq!(far.text().await, "3probe");
    assert_eq!(client.poll().await.unwrap().unwrap(), "6");
    let mut held = client.poll();
    settle().await;
    assert!(held.try_recv().is_err(), "not at once again");
    later(0.11).await;
    assert_eq!(held.await.unwrap().unwrap(), "6");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_go_hears_why_and_its_session_ends_with_it() {
    let world = World::new();
    for (code, puts_out) in [(Code::Disconnected, true), (Code::TokenExpired, true), (Code::Draining, false)] {
        let (mut far, task) = world.socket().await;
        world.publish("1");
        world.occupant().end(gateway_domain::Refusal::plain(code));
        let said = far.rest().await;
        assert!(said[0].contains("\"payload\":1"), "what was to be said is said first: {said:?}");
        assert!(said[1].starts_with("42/dashboard,[\"error\",") && said[1].contains(code.name()), "{said:?}");
        assert_eq!(said.get(2).map(String::as_str), puts_out.then_some("41/dashboard,"), "{code}");
        drop(far);
        task.await.unwrap();
        assert_eq!((world.connections(), world.sessions()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_leaves_nothing_behind() {
    let world = World::new();
    let client = world.poller().await;
    let (_far, task) = world.socket().await;
    assert_eq!((world.connections(), world.sessions()), (2, 2));
    client.task.abort();
    task.abort();
    later(0.0).await;
    assert_eq!((world.connections(), world.sessions()), (0, 0));
}
