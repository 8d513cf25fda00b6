//! Many people at once, cheaply: sockets that shook hands and then show that they live whenever they hear anything, all held by
//! one task. At every welcome it is counted how many live connections the user has.

use std::{
    collections::HashMap,
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::{ANSWER, Doors, NotIn, SEATS};
use crate::{chance::Chance, raw::upgrade, tokens::token};

/// So many shake hands at once.
const AT_ONCE: usize = 48;
/// How often it is looked at what they heard: a ping is to be answered within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A pong, under a mask of zeros.
const SIGN: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// Somebody who wants one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whose it is.
    pub user: String,
    path: &'static str,
    token: Arc<str>,
}

impl Person {
    /// So many people of one user, which looks on.
    pub fn of_user(user: &str, count: usize) -> Vec<Self> {
        let person = Self { user: user.to_owned(), path: "/ws/dashboard", token: token(user, "dashboard").into() };
        vec![person; count]
    }

    /// An agent.
    pub fn agent(name: &str) -> Self {
        Self { user: name.to_owned(), path: "/ws/agent", token: token(name, "agent").into() }
    }

    /// Whether it is one.
    pub fn is_agent(&self) -> bool {
        self.path == "/ws/agent"
    }
}

/// One who is in.
#[derive(Debug)]
struct Held {
    person: Person,
    node: usize,
    stream: TcpStream,
    is_over: bool,
}

impl Held {
    /// Takes in what came, and shows that it lives where that was anything.
    fn look(&mut self) {
        let mut bytes = [0; 4096];
        let mut heard = false;
        loop {
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return self.is_over = true,
                Ok(_) => heard = true,
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.is_over = true,
            }
        }
        if heard && self.stream.try_write(&SIGN).is_err() {
            self.is_over = true;
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Mass {
    doors: Arc<Doors>,
    held: Arc<Mutex<Vec<Held>>>,
    live: Mutex<HashMap<String, usize>>,
    shows: JoinHandle<()>,
}

impl Mass {
    /// Nobody yet.
    pub fn at(doors: &Arc<Doors>) -> Self {
        let held: Arc<Mutex<Vec<Held>>> = Arc::default();
        let all = Arc::clone(&held);
        let shows = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                all.lock().unwrap().iter_mut().for_each(Held::look);
            }
        });
        Self { doors: Arc::clone(doors), held, live: Mutex::default(), shows }
    }

    /// All of these come in, each at any node, and again until it is let in.
    pub async fn takes_in(&self, people: Vec<Person>, seed: u64) {
        let mut chance = Chance::of(seed);
        let each = people.into_iter().map(|person| self.takes_one(person, Chance::of(chance.any())));
        stream::iter(each).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }

    async fn takes_one(&self, person: Person, mut chance: Chance) {
        let begun = crate::process::stopwatch();
        loop {
            let (node, door) = self.doors.any_with_its_number(&mut chance);
            match shake(door, &person).await {
                Ok(stream) => {
                    let mut live = self.live.lock().unwrap();
                    let count = live.entry(person.user.clone()).or_default();
                    *count += 1;
                    assert!(*count <= SEATS, "{} has {count} connections, and may have {SEATS}", person.user);
                    return self.held.lock().unwrap().push(Held { person, node, stream, is_over: false });
                }
                Err(NotIn::Hung) => panic!("a handshake of {} hung", person.user),
                Err(_) => assert!(begun.elapsed() < Duration::from_secs(60), "{} is locked out", person.user),
            }
            tokio::time::sleep(Duration::from_millis(200 + chance.below(400) as u64)).await;
        }
    }

    /// Whether one more of that user is let in now.
    pub async fn lets_in(&self, person: &Person, chance: &mut Chance) -> bool {
        shake(self.doors.any(chance), person).await.is_ok()
    }

    /// How many are in.
    pub fn count(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Everybody at that node is gone with it: these.
    pub fn loses(&self, node: usize) -> Vec<Person> {
        let mut held = self.held.lock().unwrap();
        let gone: Vec<Person> = held.extract_if(.., |held| held.node == node).map(|held| held.person).collect();
        let mut live = self.live.lock().unwrap();
        gone.iter().for_each(|person| *live.entry(person.user.clone()).or_default() -= 1);
        gone
    }

    /// Those whose connections have ended, though nobody took their node away.
    pub fn ended(&self) -> Vec<String> {
        let mut held = self.held.lock().unwrap();
        held.iter_mut().for_each(Held::look);
        held.iter().filter(|held| held.is_over).map(|held| held.person.user.clone()).collect()
    }
}

impl Drop for Mass {
    fn drop(&mut self) {
        self.shows.abort();
    }
}

/// Shakes hands, and reads no further than the answer's head.
async fn shake(door: std::net::SocketAddr, person: &Person) -> Result<TcpStream, NotIn> {
    let shakes = async {
        let mut stream = TcpStream::connect(door).await.ok()?;
        let asks = upgrade(&format!("{}?token={}", person.path, person.token), "");
        stream.write_all(asks.as_bytes()).await.ok()?;
        let (mut head, mut more) = (Vec::new(), [0; 1024]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut more).await.ok().filter(|read| *read > 0)?;
            head.extend_from_slice(&more[..read]);
        }
        let status = str::from_utf8(head.get(9..12)?).ok()?.parse::<u16>().ok()?;
        Some((status, stream))
    };
    match timeout(ANSWER, shakes).await {
        Ok(Some((101, stream))) => Ok(stream),
        Ok(Some((status, _))) => Err(NotIn::Refused(status)),
        Ok(None) => Err(NotIn::Broken),
        Err(_) => Err(NotIn::Hung),
    }
}
