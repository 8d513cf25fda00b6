//! A case: bytes that are sent, in what portions, and what must come back. The door echoes, so that a message which was
//! understood comes back as it was said, and everything else that comes is the protocol's own.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use gateway_tests::{TestGateway, raw::Raw, tokens::token};
use tokio::io::AsyncReadExt;

/// The largest message at the door.
pub(crate) const MOST: usize = 64 << 10;
/// So many cases are under way at once.
const AT_ONCE: usize = 16;
/// A case takes no longer, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// What must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The end, with this code; none: a close frame that says nothing.
    Close(Option<u16>),
}

/// In what portions it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Portions {
    Whole,
    Of(usize),
}

/// One case.
pub(crate) struct Case {
    what: String,
    sent: Vec<u8>,
    portions: Portions,
    back: Vec<Back>,
    ends: bool,
}

/// Frames of a client, one behind the other.
#[derive(Clone, Default)]
pub(crate) struct Wire(pub(crate) Vec<u8>);

impl Wire {
    /// A frame that is whole in itself.
    pub(crate) fn frame(self, opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        self.put(FIN | opcode, payload.as_ref())
    }

    /// One that others follow.
    pub(crate) fn part(self, opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        self.put(opcode, payload.as_ref())
    }

    /// One with any first byte, masked with a key of its own.
    pub(crate) fn put(mut self, first: u8, payload: &[u8]) -> Self {
        let nth = self.0.len() as u8;
        let mask = [nth ^ 0x5a, 0x91, nth.wrapping_mul(7), 0xe3];
        self = self.head(first, payload.len() as u64, mask);
        self.0.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        self
    }

    /// The head of a frame alone.
    pub(crate) fn head(mut self, first: u8, length: u64, mask: [u8; 4]) -> Self {
        self.0.push(first);
        match length {
            0..=125 => self.0.push(0x80 | length as u8),
            126..=0xffff => {
                self.0.push(0x80 | 126);
                self.0.extend((length as u16).to_be_bytes());
            }
            _ => {
                self.0.push(0x80 | 127);
                self.0.extend(length.to_be_bytes());
            }
        }
        self.0.extend(mask);
        self
    }

    /// Bytes as they are.
    pub(crate) fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }
}

/// Nothing sent yet.
pub(crate) fn wire() -> Wire {
    Wire::default()
}

/// A close frame's payload.
pub(crate) fn code(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_ref()].concat()
}

/// That text comes back.
pub(crate) fn text(text: impl AsRef<[u8]>) -> Back {
    Back::Text(text.as_ref().to_vec())
}

impl Case {
    /// What is sent is understood: this comes back, and the connection goes on.
    pub(crate) fn goes_on(what: impl Into<String>, sent: Wire, back: impl Into<Vec<Back>>) -> Self {
        Self { what: what.into(), sent: sent.0, portions: Portions::Whole, back: back.into(), ends: false }
    }

    /// This comes back, and then the gateway closes with that code.
    pub(crate) fn ends(
        what: impl Into<String>,
        sent: Wire,
        back: impl Into<Vec<Back>>,
        code: impl Into<Option<u16>>,
    ) -> Self {
        let mut back = back.into();
        back.push(Back::Close(code.into()));
        Self { what: what.into(), sent: sent.0, portions: Portions::Whole, back, ends: true }
    }

    /// The same in portions of so many bytes.
    pub(crate) fn in_portions(mut self, of: usize) -> Self {
        self.what += &format!(", {of} bytes at a time");
        self.portions = Portions::Of(of);
        self
    }

    async fn play(&self, gateway: &TestGateway, token: &str) -> Result<(), String> {
        let mut raw = Raw::admitted(gateway.address, "/echo", token).await;
        raw.stream.set_nodelay(true).unwrap();
        let (mut reading, mut writing) = raw.stream.split();
        let sent = async {
            let portion = match self.portions {
                Portions::Whole => self.sent.len().max(1),
                Portions::Of(bytes) => bytes,
            };
            for portion in self.sent.chunks(portion) {
                // Where the gateway has enough of it, it hangs up.
                if tokio::io::AsyncWriteExt::write_all(&mut writing, portion).await.is_err() {
                    return;
                }
                if !matches!(self.portions, Portions::Whole) {
                    tokio::task::yield_now().await;
                }
            }
            if !self.ends {
                // Whatever was still to come back comes before the answer to this.
                let goodbye = wire().frame(CLOSE, code(4321, "")).0;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut writing, &goodbye).await;
            }
        };
        let heard = async {
            let mut bytes = Vec::new();
            let mut buffer = vec![0; 32 << 10];
            while let Ok(read) = reading.read(&mut buffer).await {
                if read == 0 {
                    return (bytes, true);
                }
                bytes.extend_from_slice(&buffer[..read]);
            }
            (bytes, false)
        };
        // Whoever fails a connection may end the stream before the rest was written to it.
        let both = async { tokio::join!(sent, heard) };
        let ((), (bytes, is_orderly)) =
            tokio::time::timeout(PATIENCE, both).await.map_err(|_| "the stream never ended".to_owned())?;
        let mut wanted = self.back.clone();
        if !self.ends {
            wanted.push(Back::Close(Some(4321)));
        }
        let heard = understood(&bytes)?;
        let heard = without_older_pongs(heard, &wanted);
        if heard != wanted {
            return Err(format!("wanted {}, and heard {}", shortened(&wanted), shortened(&heard)));
        }
        if is_orderly { Ok(()) } else { Err("the stream was reset, and not ended".to_owned()) }
    }
}

/// Plays all; every case that is not as it must be is named.
pub(crate) async fn play(cases: Vec<Case>) {
    let faults = faults(&cases).await;
    assert!(faults.is_empty(), "{} of {} cases failed:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Plays all; what was not as it must be.
async fn faults(cases: &[Case]) -> Vec<String> {
    let config = "[[endpoints]]\npath = \"/echo\"\nhandler = \"echo\"\nmax_message = \"64KiB\"\n\
         [plans.default]\nconnections = 10000\nmessages = \"off\"\n\
         [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";
    let gateway = TestGateway::with(config);
    let token = token("ann", "dashboard");
    let played = stream::iter(cases).map(|case| {
        let (gateway, token) = (&gateway, &token);
        async move { case.play(gateway, token).await.err().map(|fault| format!("{}: {fault}", case.what)) }
    });
    played.buffer_unordered(AT_ONCE).filter_map(async |fault| fault).collect().await
}

#[tokio::test]
async fn a_case_that_goes_otherwise_is_named() {
    let pongs = ["a", "b"].map(|payload| Back::Pong(payload.into()));
    let pings = || wire().frame(PING, "a").frame(PING, "b");
    let cases = [
        Case::goes_on("right", wire().frame(TEXT, "a"), [text("a")]),
        Case::goes_on("another text", wire().frame(TEXT, "a"), [text("b")]),
        Case::goes_on("a text too few", wire().frame(TEXT, "a").frame(TEXT, "b"), [text("a")]),
        Case::goes_on("an end that comes too soon", wire().frame(3, ""), []),
        Case::ends("another code", wire().frame(3, ""), [], 1007),
        Case::goes_on("pongs in another order", pings(), [pongs[1].clone(), pongs[0].clone()]),
        Case::goes_on("a pong too many", wire().frame(PING, "a"), pongs.clone()),
        Case::goes_on("right, too", pings(), pongs),
    ];
    let mut named: Vec<String> =
        faults(&cases).await.iter().filter_map(|fault| fault.split(':').next().map(str::to_owned)).collect();
    named.sort_unstable();
    let wrong = [
        "a pong too many",
        "a text too few",
        "an end that comes too soon",
        "another code",
        "another text",
        "pongs in another order",
    ];
    assert_eq!(named, wrong);
}

/// What a server's bytes say; each frame must be as a server's has to be.
fn understood(mut bytes: &[u8]) -> Result<Vec<Back>, String> {
    let mut found = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        if second & 0x80 != 0 {
            return Err("a frame of the server is masked".into());
        }
        if first & 0x70 != 0 || first & FIN == 0 {
            return Err(format!("a frame of the server begins with {first:#x}"));
        }
        let (length, rest) = match (second & 0x7f, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, _) => {
                let (wide, rest) = rest.split_first_chunk::<8>().ok_or("half a head")?;
                (usize::try_from(u64::from_be_bytes(*wide)).unwrap(), rest)
            }
            (short, rest) => (usize::from(short), rest),
        };
        let (payload, rest) = rest.split_at_checked(length).ok_or("half a frame at the end")?;
        bytes = rest;
        found.push(match first & 0x0f {
            TEXT => Back::Text(payload.to_vec()),
            BINARY => Back::Binary(payload.to_vec()),
            PONG => Back::Pong(payload.to_vec()),
            CLOSE => Back::Close(payload.split_first_chunk::<2>().map(|(code, _)| u16::from_be_bytes(*code))),
            other => return Err(format!("the server sent a frame of kind {other}")),
        });
    }
    if bytes.is_empty() { Ok(found) } else { Err("half a frame at the end".into()) }
}

/// Of several pings a server may answer the latest alone (5.5.3): a pong of an older one that is missing is not missed.
fn without_older_pongs(heard: Vec<Back>, wanted: &[Back]) -> Vec<Back> {
    let mut filled: Vec<Back> = Vec::new();
    let mut wanted = wanted.iter().peekable();
    for one in heard {
        while let Some(missing) = wanted.next_if(|next| matches!(next, Back::Pong(_)) && **next != one) {
            // Only where another pong comes later; otherwise it was the latest, and is missed.
            if !matches!(one, Back::Pong(_)) {
                break;
            }
            filled.push(missing.clone());
        }
        wanted.next_if(|next| **next == one);
        filled.push(one);
    }
    filled
}

fn shortened(all: &[Back]) -> String {
    let told: Vec<String> = all
        .iter()
        .map(|back| match back {
            Back::Text(bytes) => format!("text of {} ({:.40})", bytes.len(), String::from_utf8_lossy(bytes)),
            Back::Binary(bytes) => format!("binary of {}", bytes.len()),
            Back::Pong(bytes) => format!("pong {:?}", String::from_utf8_lossy(bytes)),
            Back::Close(code) => format!("close {code:?}"),
        })
        .collect();
    format!("[{}]", told.join(", "))
}
