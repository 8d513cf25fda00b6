//! The books agree with each other, whatever happens.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn id(n: u128) -> ConnectionId {
    ConnectionId::new(Uuid::from_u128(n))
}

fn ann() -> UserId {
    "ann".parse().unwrap()
}

fn listing(role: Option<&str>) -> Listing {
    Listing { endpoint: "/ws".into(), role: role.map(|role| role.parse().unwrap()), hears_user: true }
}

#[test]
fn a_connection_is_found_from_its_entry_to_its_end() {
    let mut registry = Registry::new(10);
    registry.admit(&ann(), id(2), Some(3), None).unwrap();
    assert!(registry.get(id(2)).is_none() && registry.is_empty(), "a seat alone is nobody yet");
    registry.enter(&ann(), id(2), "second", listing(None)).unwrap();
    registry.admit(&ann(), id(1), Some(3), None).unwrap();
    registry.enter(&ann(), id(1), "first", Listing { hears_user: false, ..listing(None) }).unwrap();
    assert_eq!(registry.of_user(&ann()).collect::<Vec<_>>(), [&"second", &"first"], "by age");
    assert_eq!(registry.hearing(&ann()).collect::<Vec<_>>(), [(id(2), &"second")]);
    registry.stop_hearing_user(id(2));
    assert_eq!(registry.hearing(&ann()).count(), 0);
    assert_eq!(registry.after(None).map(|(_, handle)| *handle).collect::<Vec<_>>(), ["first", "second"], "by id");
    assert_eq!(registry.after(Some(id(1))).count(), 1);
    assert_eq!(registry.leave(&ann(), id(2), None).unwrap().handle, "second");
    assert_eq!(registry.leave(&ann(), id(2), None), None);
    assert_eq!((registry.len(), registry.seats().taken()), (1, 1));
}

#[test]
fn who_was_evicted_at_the_door_does_not_sit() {
    let mut registry = Registry::new(10);
    registry.admit(&ann(), id(1), None, None).unwrap();
    registry.leave(&ann(), id(1), None);
    assert_eq!(registry.enter(&ann(), id(1), "late", listing(None)), Err("late"));
    assert!(registry.is_empty());
}

#[test]
fn roles_and_doors_list_who_is_here_and_follow_a_change() {
    let mut registry = Registry::new(10);
    let (dashboard, viewer): (Role, Role) = ("dashboard".parse().unwrap(), "viewer".parse().unwrap());
    for n in 1..=3 {
        registry.admit(&ann(), id(n), None, None).unwrap();
        registry.enter(&ann(), id(n), n, listing(Some("dashboard"))).unwrap();
    }
    registry.rerole(id(2), Some(&viewer));
    registry.rerole(id(9), Some(&viewer));
    let ids = |found: &mut dyn Iterator<Item = (ConnectionId, &u128)>| found.map(|(_, n)| *n).collect::<Vec<_>>();
    assert_eq!(ids(&mut registry.of_role(&dashboard, None)), [1, 3]);
    assert_eq!(ids(&mut registry.of_role(&dashboard, Some(id(1)))), [3]);
    assert_eq!(ids(&mut registry.of_endpoint("/ws", None)), [1, 2, 3]);
    assert_eq!(registry.of_endpoint("/other", None).count(), 0);
    assert_eq!((registry.count_of_role(&viewer), registry.count_of_endpoint("/ws")), (1, 3));
    registry.rerole(id(2), None);
    assert_eq!(registry.count_of_role(&viewer), 0);
    assert!(registry.is_sound());
}

#[test]
fn an_agent_is_one_connection_and_its_name_is_free_again_with_it() {
    let mut registry = Registry::new(10);
    let press: AgentId = "press-7".parse().unwrap();
    let bob: UserId = "bob".parse().unwrap();
    registry.admit(&ann(), id(1), None, Some(&press)).unwrap();
    assert!(registry.agent(&press).is_none(), "on its way");
    assert_eq!(registry.holder(&press), Some((&ann(), id(1))));
    registry.enter(&ann(), id(1), "one", listing(Some("agent"))).unwrap();
    assert_eq!(registry.agent(&press), Some((id(1), &"one")));
    assert_eq!(registry.admit(&bob, id(2), None, Some(&press)), Err(NoPlace::AgentTaken(id(1))));
    assert_eq!(registry.seats().taken(), 1, "who is refused takes nothing");
    let left = registry.leave(&ann(), id(1), Some(&press)).unwrap();
    assert_eq!(left.agent.as_ref(), Some(&press));
    registry.admit(&bob, id(2), None, Some(&press)).unwrap();
    assert!(registry.leave(&ann(), id(1), Some(&press)).is_none());
    assert_eq!(registry.holder(&press), Some((&bob, id(2))), "a late farewell takes nothing from the successor");
}

proptest! {
    #[test]
    fn the_books_agree_whatever_happens(steps in prop::collection::vec((0u8..6, 0u128..8, 0u8..3), 0..80)) {
        let mut registry = Registry::new(6);
        let user = |n: u128| -> UserId { format!("u{}", n % 3).parse().unwrap() };
        let agent = |n: u128| -> Option<AgentId> { n.is_multiple_of(2).then(|| format!("a{}", n % 4).parse().unwrap()) };
        let role = |r: u8| -> Option<Role> { (r > 0).then(|| format!("r{r}").parse().unwrap()) };
        for (what, n, r) in steps {
            let (id, user, agent) = (id(n), user(n), agent(n));
            match what {
                0 | 1 => {
                    // A connection is admitted once.
                    if !registry.seats().of(&user).contains(&id) {
                        let _ = registry.admit(&user, id, Some(2), agent.as_ref());
                    }
                }
                2 | 3 => {
                    if registry.get(id).is_none() {
                        let _ = registry.enter(&user, id, n, Listing { role: role(r), ..listing(None) });
                    }
                }
                4 => registry.rerole(id, role(r).as_ref()),
                _ => { registry.leave(&user, id, agent.as_ref()); }
            }
            let room: Room = format!("room{r}").parse().unwrap();
            if r == 0 { registry.note_room(id, &room); } else { registry.forget_room(id, &room); }
            prop_assert!(registry.is_sound());
        }
    }
}
