//! Rooms whose offsets are given elsewhere, against the log of all that was posted: whatever is lost on the way, in whatever
//! order people come, each gets everything behind where it came, once and in order.

use super::*;
use proptest::prelude::*;

const ROOM: &str = "lobby";
const LONG: RoomLaw =
    RoomLaw { history: Some(HistoryBounds { messages: 1000, bytes: 1000, ..HISTORY }), presence: None };

fn position(epoch: &str, offset: u64) -> Position {
    Position { epoch: Epoch::parse(epoch).unwrap(), offset }
}

/// A node that hears what is posted, or does not.
struct Node {
    rooms: Rooms<u64>,
    /// What each member got, and from behind which offset on it wants all.
    got: Vec<(u64, Vec<u64>)>,
    posted: u64,
    /// What is posted and has not arrived yet.
    on_its_way: std::collections::VecDeque<u64>,
}

impl Node {
    fn place(&mut self, offset: u64) -> bool {
        let placed = self.rooms.place(&room(ROOM), &LONG, &position("e", offset), at(1), |offset| (offset, 1));
        let posted = match placed {
            Placed::Next(posted) | Placed::Late(posted) => posted,
            Placed::Again => return true,
            Placed::Gap(_) => return false,
            Placed::Anew(_) => panic!("there is one epoch"),
        };
        // A room that nobody is in is not remembered here.
        let Some((own, _)) = posted.kept else { return true };
        let lobby = room(ROOM);
        let reached = self.rooms.members(&lobby, None, posted.sequence, Some(own));
        for (member, _) in reached {
            self.got[member.uuid().as_u128() as usize].1.push(own);
        }
        true
    }

    /// Looks up all that did not come.
    fn mend(&mut self) {
        let Some(own) = self.rooms.position(&room(ROOM)) else { return };
        for offset in own.offset + 1..=self.posted {
            assert!(self.place(offset), "what is looked up has no gap");
        }
        self.rooms.caught_up(&room(ROOM));
    }

    /// Somebody comes, and looks up where the room stands.
    fn join(&mut self) {
        let (nth, floor) = (self.got.len() as u128, self.posted);
        let ann = user("ann");
        let joining = Joining { floor, ..subscribing(nth, &ann, None) };
        self.rooms.join(&room(ROOM), joining, &LONG, at(1)).unwrap();
        self.rooms.stand_at(&room(ROOM), &position("e", floor));
        // Somebody who came by what is known here has had what has come, and no more.
        self.got.push((floor, Vec::new()));
    }
}

proptest! {
    #[test]
    fn nobody_misses_anything_and_nobody_hears_it_twice(steps in prop::collection::vec(0u8..8, 1..120)) {
        let rooms = Rooms::new(RoomsBounds { rooms: 3, history_bytes: 10_000 }, EpochSource::new(7)).fed();
        let mut node = Node { rooms, got: Vec::new(), posted: 0, on_its_way: Default::default() };
        for step in steps {
            match step {
                0..=2 => {
                    node.posted += 1;
                    node.on_its_way.push_back(node.posted);
                }
                // It arrives, and where something before it did not, all of that is looked up.
                3..=5 => if let Some(offset) = node.on_its_way.pop_front() && !node.place(offset) {
                    node.mend();
                },
                // What is on its way is lost; the link comes back, and says so.
                6 => {
                    node.on_its_way.clear();
                    node.mend();
                }
                _ => node.join(),
            }
        }
        node.on_its_way.clear();
        node.mend();
        for (floor, got) in &node.got {
            prop_assert_eq!(got, &(floor + 1..=node.posted).collect::<Vec<_>>());
        }
    }
}

#[test]
fn another_epoch_begins_where_it_is_met_and_what_was_before_is_for_nobody() {
    let mut rooms = rooms().fed();
    let ann = user("ann");
    rooms.join(&room(ROOM), Joining { floor: 7, ..subscribing(0, &ann, None) }, &LONG, at(1)).unwrap();
    assert!(!rooms.stand_at(&room(ROOM), &position("e", 7)), "nobody knew of another");
    let placed = rooms.place(&room(ROOM), &LONG, &position("f", 3), at(1), |offset| (offset, 1));
    let Placed::Anew(posted) = placed else { panic!("{placed:?}") };
    assert_eq!(rooms.members(&room(ROOM), None, posted.sequence, Some(3)).count(), 1, "its floor was of before");
    assert_eq!(rooms.position(&room(ROOM)), Some(position("f", 3)));
    let own = rooms.part(&room(ROOM)).unwrap();
    assert_eq!((own.offset, rooms.position(&room(ROOM))), (0, Some(own)), "an epoch of this node's own");
    assert!(rooms.stand_at(&room(ROOM), &position("f", 9)), "and whoever is here must be told when that ends");
    rooms.let_go(&room(ROOM));
    assert_eq!(rooms.position(&room(ROOM)), None);
}
