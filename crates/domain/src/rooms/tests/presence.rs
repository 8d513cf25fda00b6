//! Presence against a naive recount.

use super::*;
use proptest::prelude::*;

/// Room, connection, subscribed; whose a connection is follows from its number.
type Membership = (u8, u8, bool);

fn owner(connection: u8) -> UserId {
    user(&format!("user-{}", connection % 3))
}

fn connections(naive: &[Membership], room: u8, user: &UserId) -> usize {
    naive
        .iter()
        .filter(|(of, connection, subscribed)| *of == room && *subscribed && owner(*connection) == *user)
        .count()
}

fn users(naive: &[Membership], room: u8) -> Vec<(UserId, usize)> {
    (0..3).map(|n| (owner(n), connections(naive, room, &owner(n)))).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_role_is_that_of_the_first_connection() {
    let mut rooms = rooms();
    let (ann, first, second) = (user("ann"), "agent".parse().unwrap(), "dashboard".parse().unwrap());
    let one = Joining { role: Some(&first), ..subscribing(1, &ann, None) };
    let announced = rooms.join(&room("a"), one, &LAW, at(0)).unwrap().announced.unwrap();
    assert_eq!((announced.role.as_ref(), announced.connections), (Some(&first), 1));
    let two = Joining { role: Some(&second), ..subscribing(2, &ann, None) };
    let joined = rooms.join(&room("a"), two, &LAW, at(0)).unwrap();
    assert_eq!(joined.announced, None);
    assert_eq!(joined.presence.unwrap(), [Present { user_id: ann, role: Some(first.clone()), connections: 2 }]);
    assert_eq!(rooms.leave(&room("a"), id(1)).unwrap().announced, None);
    let gone = rooms.leave(&room("a"), id(2)).unwrap().announced.unwrap();
    assert_eq!((gone.role, gone.connections), (Some(first), 0));
}

#[test]
fn where_presence_is_not_told_nobody_is_announced() {
    let mut rooms = rooms();
    let ann = user("ann");
    let joined = rooms.join(&room("a"), subscribing(1, &ann, None), &BARE, at(0)).unwrap();
    assert_eq!((joined.presence, joined.announced), (None, None));
    assert_eq!((rooms.presence(&room("a"), &BARE), rooms.presence(&room("b"), &BARE)), (None, None));
    assert_eq!(rooms.presence(&room("b"), &LAW), Some(vec![]));
    assert_eq!(rooms.leave(&room("a"), id(1)).unwrap().announced, None);
}

proptest! {
    #[test]
    fn presence_agrees_with_a_naive_recount(
        steps in prop::collection::vec((0u8..3, 0u8..9, 0u8..5), 0..150),
    ) {
        let mut rooms = rooms();
        let mut naive: Vec<Membership> = Vec::new();
        for (n, connection, deed) in steps {
            let (name, user) = (room(n), owner(connection));
            let known = naive.iter().position(|(of, other, _)| (*of, *other) == (n, connection));
            let mine = connections(&naive, n, &user);
            if deed < 3 {
                let subscribed = deed > 0;
                let joining = Joining { subscribed, ..subscribing(connection.into(), &user, None) };
                let joined = rooms.join(&name, joining, &LAW, at(0)).unwrap();
                match known {
                    Some(at) => naive[at].2 |= subscribed,
                    None => naive.push((n, connection, subscribed)),
                }
                let told = users(&naive, n).len() <= 2;
                let first = mine == 0 && connections(&naive, n, &user) == 1;
                prop_assert_eq!(joined.announced.map(|one| one.user_id), (first && told).then_some(user));
                prop_assert_eq!(joined.presence.is_some(), told && subscribed);
            } else {
                let told = users(&naive, n).len() <= 2;
                let was = known.map(|at| naive.remove(at).2);
                let departed = rooms.leave(&name, id(connection.into()));
                prop_assert_eq!(departed.as_ref().map(|departed| departed.was_subscribed), was);
                let last = was == Some(true) && mine == 1;
                let announced = departed.and_then(|departed| departed.announced).map(|one| one.user_id);
                prop_assert_eq!(announced, (last && told).then_some(user));
            }
            for n in 0..3 {
                let present = rooms.presence(&room(n), &RoomLaw { presence: Some(9), ..LAW }).unwrap();
                let present: Vec<_> = present.into_iter().map(|one| (one.user_id, one.connections as usize)).collect();
                prop_assert_eq!(present, users(&naive, n));
                prop_assert_eq!(rooms.size(&room(n)), naive.iter().filter(|(of, ..)| *of == n).count());
            }
            let is_in = naive.iter().any(|(of, other, _)| (*of, *other) == (n, connection));
            prop_assert_eq!(rooms.is_member(&name, id(connection.into())), is_in);
            prop_assert_eq!(rooms.counts().memberships, naive.len());
        }
    }
}
