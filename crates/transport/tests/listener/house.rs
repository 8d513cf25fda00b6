//! A gateway's outside without its inside, for the stories of the listener, and what its clients do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway_transport::{
    AddressLaw, AddressRule, CloseFrame, ConnectionInfo, Counters, Inbound, Limits, ListenAddr, Listener, Outbound,
    Peer, PeerClose, Socket, SocketLimits, TlsMaterial, examine, serve, upgraded,
};
use http::{HeaderMap, Method, Version};
use hyper::upgrade::OnUpgrade;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply, reply::Response};

pub(crate) const A_WHILE: Duration = Duration::from_secs(5);
pub(crate) const SHORT: Duration = Duration::from_millis(200);
pub(crate) const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: gateway\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// `/` says who asks, `/slow` takes its time, `/admit` knows everybody,
/// `/ws` upgrades and echoes, `/limbo` upgrades and never finds out who it is.
pub(crate) struct House {
    pub(crate) address: ListenAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) closes: mpsc::Receiver<PeerClose>,
}

impl House {
    pub(crate) fn open(limits: Limits, law: AddressLaw) -> Self {
        Self::at(&"127.0.0.1:0".parse().unwrap(), limits, law, None)
    }

    pub(crate) fn at(address: &ListenAddr, limits: Limits, law: AddressLaw, tls: Option<&TlsMaterial>) -> Self {
        let listener = Listener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (counters, shutdown) = (Arc::<Counters>::default(), CancellationToken::new());
        let (closed, closes) = mpsc::channel(16);
        let info = warp::ext::get::<ConnectionInfo>();
        let routes = warp::path::end()
            .and(info)
            .map(|info: ConnectionInfo| {
                let peer = match info.peer {
                    Peer::Ip(address) => address.ip().to_string(),
                    Peer::Unix => "unix".into(),
                };
                format!("peer={peer} proxied={:?} secure={}", info.proxied, info.secure).into_response()
            })
            .or(warp::path!("slow").then(|| async {
                sleep(SHORT * 3).await;
                "slow".to_owned().into_response()
            }))
            .unify()
            .or(warp::path!("admit").and(warp::ext::get::<ConnectionInfo>()).then(|info: ConnectionInfo| async move {
                info.ticket.admit();
                sleep(SHORT * 3).await;
                "admitted".to_owned().into_response()
            }))
            .unify()
            .or(warp::path!("ws").and(door()).map(move |method, headers, info: ConnectionInfo, on| {
                let closed = closed.clone();
                let accepted = accept(method, headers);
                info.ticket.admit();
                tokio::spawn(async move {
                    let (wire, leftover) = upgraded(on).await.unwrap();
                    let mut socket = Socket::server(wire, leftover, SocketLimits::default());
                    while let Ok(inbound) = socket.next().await {
                        match inbound {
                            Inbound::Text(text) => socket.queue(Outbound::Text(text.into())).unwrap(),
                            Inbound::Close(_) => break,
                            _ => {}
                        }
                    }
                    let end = socket.close(CloseFrame::normal(), A_WHILE).await;
                    let _ = closed.send(end).await;
                });
                accepted
            }))
            .unify()
            .or(warp::path!("limbo").and(door()).map(|method, headers, info: ConnectionInfo, on| {
                tokio::spawn(async move {
                    let stream = upgraded(on).await.unwrap();
                    info.ticket.evicted().await;
                    drop(stream);
                });
                accept(method, headers)
            }))
            .unify()
            .boxed();
        let served = tokio::spawn(serve(
            listener,
            limits,
            tls.map(TlsMaterial::config),
            Arc::new(law),
            warp::service(routes),
            shutdown.clone(),
            Arc::clone(&counters),
        ));
        Self { address, counters, shutdown, served, closes }
    }

    pub(crate) fn socket_addr(&self) -> SocketAddr {
        self.address.socket_addr().unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.socket_addr()).await.unwrap()
    }

    pub(crate) async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(self.socket_addr()).await.unwrap()
    }

    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.counters.snapshot().into_iter().find(|(own, _)| *own == name).unwrap().1
    }
}

fn door() -> impl Filter<Extract = (Method, HeaderMap, ConnectionInfo, OnUpgrade), Error = warp::Rejection> + Clone {
    warp::method().and(warp::header::headers_cloned()).and(warp::ext::get()).and(warp::ext::get())
}

fn accept(method: Method, headers: HeaderMap) -> Response {
    match examine(&method, Version::HTTP_11, &headers) {
        Ok(upgrade) => upgrade.response(None).body("").unwrap().into_response(),
        Err(refusal) => http::Response::builder().status(400).body(refusal.to_string()).unwrap().into_response(),
    }
}

pub(crate) fn short() -> Limits {
    Limits { header_timeout: SHORT, handshake_timeout: SHORT * 2, grace: A_WHILE, ..Limits::default() }
}

pub(crate) fn trusting(rule: AddressRule) -> AddressLaw {
    AddressLaw::new(rule, vec!["127.0.0.1".parse().unwrap()], true)
}

/// One answer: its head and its body, which has a length.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let byte = timeout(A_WHILE, stream.read_u8()).await.expect("an answer in time");
        text.push(char::from(byte.unwrap_or_else(|error| panic!("{error} after {text:?}"))));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8(body).unwrap()
}

pub(crate) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n").as_bytes()).await.unwrap();
    answer(stream).await
}

/// Whether the other side ends the stream within that time.
pub(crate) async fn ends_within(stream: &mut (impl AsyncRead + Unpin), time: Duration) -> bool {
    timeout(time, stream.read_to_end(&mut Vec::new())).await.is_ok()
}

pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0][..], text.as_bytes()].concat()
}
