//! Many clients at once: those that sit and answer pings, those that come from other addresses, and those that live in
//! a process of their own, which can be stopped or killed.

use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_tungstenite::{
    MaybeTlsStream, client_async,
    tungstenite::{Error, client::IntoClientRequest},
};

use crate::{
    client::{Refused, TestClient},
    gateway::TestGateway,
    raw::tcp_from,
};

/// A client that listens, and so answers pings, until it is told to go.
#[derive(Debug)]
pub struct Sitting(JoinHandle<(u16, Value)>);

impl Sitting {
    /// Seats a client.
    pub fn of(mut client: TestClient) -> Self {
        Self(tokio::spawn(async move {
            loop {
                // Nothing comes for long, and that is no fault here.
                let polled = futures_util::StreamExt::next(&mut client.socket).await;
                match polled {
                    Some(Ok(tokio_tungstenite::tungstenite::Message::Close(Some(frame)))) => {
                        return (frame.code.into(), serde_json::from_str(&frame.reason).unwrap_or_default());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return (1006, Value::Null),
                }
            }
        }))
    }

    /// Whether it was sent away.
    pub fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until it is sent away: the code and the reason.
    pub async fn closed(self) -> (u16, Value) {
        tokio::time::timeout(crate::client::PATIENCE, self.0).await.expect("an end in time").expect("no panic")
    }

    /// Goes without a word.
    pub async fn vanish(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

/// Waits until the gateway has so many connections, and sees that it stays so. An answer is on its way before its
/// connection has sat down.
pub async fn settles_at(gateway: &TestGateway, count: u64) {
    crate::eventually(10, &format!("{count} connections"), async || {
        (gateway.connections().await == count).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(gateway.connections().await, count);
}

/// One of this machine's sixteen million addresses, all of them loopback.
pub fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 9, high, low))
}

/// Connects from an address of this machine.
pub async fn connect_from(
    source: IpAddr,
    gateway: &TestGateway,
    path: &str,
    token: &str,
) -> Result<TestClient, Refused> {
    let node = gateway.somewhere();
    let stream = tcp_from(source, node).await.expect("the port is open");
    let request = format!("ws://{node}{path}?token={token}").into_client_request().expect("an address");
    let connecting = client_async(request, MaybeTlsStream::Plain(stream));
    match tokio::time::timeout(crate::client::PATIENCE, connecting).await.expect("an answer in time") {
        Ok((socket, response)) => Ok(TestClient { socket, headers: response.headers().clone() }),
        Err(Error::Http(response)) => {
            let (parts, body) = response.into_parts();
            let body = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
            Err(Refused { status: parts.status.as_u16(), headers: parts.headers, body })
        }
        Err(fault) => panic!("the handshake came to nothing: {fault}"),
    }
}

/// Clients in a process of their own.
#[derive(Debug)]
pub struct Herd(Child);

impl Herd {
    /// Starts this test program again, to run nothing but its test `keeper`, which calls [`keep_herd`]; returns when
    /// every token has a connection.
    pub fn start(keeper: &str, to: SocketAddr, path: &str, tokens: &[String]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args(["--exact", keeper, "--ignored", "--nocapture"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program again");
        let mut orders = child.stdin.take().expect("its input");
        writeln!(orders, "{to} {path}").expect("it reads");
        tokens.iter().for_each(|token| writeln!(orders, "{token}").expect("it reads"));
        drop(orders);
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut lines = said.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("all are in")), "the herd did not get in");
        Self(child)
    }

    /// Stops the process where it stands: its sockets stay, and nobody answers.
    pub fn freeze(&self) {
        let stopped = Command::new("kill").args(["-STOP", &self.0.id().to_string()]).status();
        assert!(stopped.expect("kill").success());
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(mut self) {
        self.0.kill().expect("a process");
        self.0.wait().expect("its end");
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other side of [`Herd::start`]: reads its orders, and holds connections until the process ends. With nothing to
/// read it does nothing, as where somebody runs all ignored tests.
pub async fn keep_herd() {
    let mut orders = std::io::stdin().lock().lines().map_while(Result::ok);
    let Some(order) = orders.next() else { return };
    let Some((to, path)) = order.split_once(' ') else { return };
    let to: SocketAddr = to.parse().expect("an address");
    let mut held = Vec::new();
    for token in orders {
        let client = TestClient::open(&format!("ws://{to}{path}?token={token}"), &[]).await;
        held.push(Sitting::of(client.expect("a place")));
    }
    #[allow(clippy::print_stdout, reason = "this is how it tells the process that started it")]
    {
        println!("all are in");
    }
    std::future::pending::<()>().await;
}
