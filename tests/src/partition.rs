//! A wire that can be cut: it stands between one node and its Redis, and holds back what goes over it, or ends it. One that leads
//! to a Sentinel gives the ports that it names other names, by which they are reached over wires as well.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What is done with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Passes,
    /// Nothing goes through, and nobody is told.
    Holds,
    /// All connections end, and none begins.
    Refuses,
}

/// The wire.
#[derive(Debug)]
pub struct Wire {
    /// Where the node finds it.
    pub port: u16,
    state: Arc<watch::Sender<State>>,
    listens: JoinHandle<()>,
}

impl Wire {
    /// One that leads to that port of this machine.
    pub async fn to(port: u16) -> Self {
        Self::renaming(port, Vec::new()).await
    }

    /// One that leads to that port; of what comes back, a line that is one of these ports becomes another.
    pub async fn renaming(port: u16, names: Vec<(u16, u16)>) -> Self {
        let names: Names = names.into_iter().map(|(old, new)| (line(old), line(new))).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let here = listener.local_addr().expect("an address").port();
        let state = Arc::new(watch::Sender::new(State::Passes));
        let told = Arc::clone(&state);
        let listens = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = told.subscribe();
                if *state.borrow() != State::Refuses {
                    tokio::spawn(carry(near, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), state, Arc::clone(&names)));
                }
            }
        });
        Self { port: here, state, listens }
    }

    /// As if all packets were lost: connections stay, and nothing arrives.
    pub fn hold(&self) {
        self.state.send_replace(State::Holds);
    }

    /// Ends what there is, and lets nothing begin.
    pub fn refuse(&self) {
        self.state.send_replace(State::Refuses);
    }

    /// Everything goes through again, what was held back first.
    pub fn mend(&self) {
        self.state.send_replace(State::Passes);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listens.abort();
        self.state.send_replace(State::Refuses);
    }
}

/// Lines, and what is said instead; each as long as the other.
type Names = Arc<[(Vec<u8>, Vec<u8>)]>;

/// A port as a line of its own, as a Sentinel says it.
fn line(port: u16) -> Vec<u8> {
    assert!(port >= 10_000, "all have five digits, so that one can stand for another");
    format!("\r\n{port}\r\n").into_bytes()
}

async fn carry(near: TcpStream, to: SocketAddr, mut state: watch::Receiver<State>, names: Names) {
    if state.wait_for(|state| *state != State::Holds).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(to).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut ends = state.clone();
    tokio::select! {
        () = pass(near_in, far_out, state.clone(), Arc::default()) => {}
        () = pass(far_in, near_out, state, names) => {}
        _ = ends.wait_for(|state| *state == State::Refuses) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>, names: Names) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(count) = from.read(&mut bytes).await else { return };
        if count == 0 || state.wait_for(|state| *state != State::Holds).await.is_err() {
            return;
        }
        let Some(read) = bytes.get_mut(..count) else { return };
        for (old, new) in names.iter() {
            // An answer of a Sentinel comes in one piece.
            let at = read.windows(old.len()).position(|window| window == old.as_slice());
            if let Some(place) = at.and_then(|at| read.get_mut(at..at + old.len())) {
                place.copy_from_slice(new);
            }
        }
        if to.write_all(&*read).await.is_err() {
            return;
        }
    }
}
