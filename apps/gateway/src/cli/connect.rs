//! `gateway connect`: a client for people and scripts. What the gateway sends is printed, a line for each message; what
//! is typed is sent. The token comes from the environment, so that it stands on no command line.

mod input;
mod request;

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use http::Response;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    Environment, Failure,
    page::{offer, print, printable},
    token::period,
};
use crate::config::value::Period;

/// How long the gateway may take to answer a handshake, and a close.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest message that is taken.
const MOST_MESSAGE: usize = 16 << 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connect to an endpoint: print what comes, send what is typed. The token is read from GATEWAY_TOKEN. It ends when
/// the gateway closes, when --for is over, or when it is interrupted; not when nothing more is typed. Exit code 1:
/// refused, or closed for a reason.
#[derive(Debug, Args)]
pub(super) struct Connect {
    /// The endpoint, such as ws://127.0.0.1:8080/ws/agent.
    #[arg(value_name = "URL")]
    url: String,
    /// Send this once connected; may be repeated.
    #[arg(long = "send", value_name = "TEXT")]
    messages: Vec<String>,
    /// Stop by itself after this time, such as 2s.
    #[arg(long = "for", value_name = "DURATION", value_parser = period)]
    time: Option<Period>,
    /// The page to pretend to be, such as https://app.example.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
}

/// How a connection ended.
enum Ended {
    /// The gateway closed it, with that frame.
    Closed(Option<CloseFrame>),
    /// It broke off.
    Lost(String),
    /// Here.
    ByUs,
}

impl Connect {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(self.converse(&environment));
        // A resolver or a reader that still waits is not waited for.
        runtime.shutdown_background();
        ended
    }

    async fn converse(self, environment: &Environment) -> Result<(), Failure> {
        let request = request::upgrade(&self.url, self.origin.as_deref(), environment)?;
        let config = WebSocketConfig::default().max_message_size(Some(MOST_MESSAGE)).max_frame_size(Some(MOST_MESSAGE));
        let connecting = connect_async_with_config(request, Some(config), true);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let mut socket = match connected.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))? {
            Ok((socket, _)) => socket,
            Err(Error::Http(answer)) => {
                refused(&answer)?;
                return Err(Failure::No);
            }
            Err(fault) => return Err(anyhow!("there is no connection: {fault}").into()),
        };
        let ended = match self.talk(&mut socket).await? {
            Ended::ByUs => farewell(&mut socket).await?,
            ended => ended,
        };
        match ended {
            Ended::ByUs => Ok(()),
            Ended::Lost(why) => Err(anyhow!("the connection was lost: {why}").into()),
            Ended::Closed(frame) => {
                print(&closed(frame.as_ref()))?;
                let normal = frame.is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Away));
                if normal { Ok(()) } else { Err(Failure::No) }
            }
        }
    }

    /// Sends and prints, until somebody has enough.
    async fn talk(&self, socket: &mut Socket) -> Result<Ended> {
        for message in &self.messages {
            if let Err(fault) = socket.send(Message::text(message.as_str())).await {
                return last_words(socket, fault).await;
            }
        }
        let mut typed = input::lines();
        let mut listening = true;
        let over = async {
            match self.time {
                Some(time) => tokio::time::sleep(time.get()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            tokio::select! {
                received = socket.next() => if let Some(ended) = said(received)? {
                    return Ok(ended);
                },
                line = typed.recv(), if listening => match line {
                    Some(line) => if let Err(fault) = socket.send(Message::text(line?)).await {
                        return last_words(socket, fault).await;
                    },
                    None => listening = false,
                },
                () = &mut over => return Ok(Ended::ByUs),
                _ = tokio::signal::ctrl_c() => return Ok(Ended::ByUs),
            }
        }
    }
}

/// Prints what was received; the end, where it was one.
fn said(received: Option<Result<Message, Error>>) -> Result<Option<Ended>> {
    let line = match received {
        Some(Ok(Message::Text(text))) => printable(&text).into_owned(),
        Some(Ok(Message::Binary(bytes))) => {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            format!("binary, {} bytes in base64: {text}", bytes.len())
        }
        Some(Ok(Message::Close(frame))) => return Ok(Some(Ended::Closed(frame))),
        // Pings are answered by the library.
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(None),
        Some(Err(fault)) => return Ok(Some(Ended::Lost(fault.to_string()))),
        None => return Ok(Some(Ended::Lost("it ended without a close".into()))),
    };
    Ok(if offer(&format!("{line}\n"))? { None } else { Some(Ended::ByUs) })
}

/// A message that could not be sent mostly means that the gateway closed: what it said about it is still to be read.
async fn last_words(socket: &mut Socket, fault: Error) -> Result<Ended> {
    let reading = async {
        loop {
            if let Some(ended) = said(socket.next().await)? {
                return Ok(ended);
            }
        }
    };
    let ended: Result<Ended> = tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Ok(Ended::ByUs));
    Ok(match ended? {
        closed @ Ended::Closed(_) => closed,
        Ended::Lost(_) | Ended::ByUs => Ended::Lost(fault.to_string()),
    })
}

/// Closes, and prints what still comes until the gateway has answered.
async fn farewell(socket: &mut Socket) -> Result<Ended> {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let closing = async {
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(message)) = socket.next().await {
                if let Some(Ended::Closed(Some(frame))) = said(Some(Ok(message)))?
                    && frame.code != CloseCode::Normal
                {
                    return Ok(Ended::Closed(Some(frame)));
                }
            }
        }
        Ok(Ended::ByUs)
    };
    tokio::time::timeout(PATIENCE, closing).await.unwrap_or(Ok(Ended::ByUs))
}

fn closed(frame: Option<&CloseFrame>) -> String {
    match frame {
        Some(frame) => {
            format!("closed {} {}", u16::from(frame.code), printable(&frame.reason)).trim_end().to_owned() + "\n"
        }
        None => "closed without a code\n".to_owned(),
    }
}

/// Prints an answer that is no upgrade.
fn refused(answer: &Response<Option<Vec<u8>>>) -> Result<()> {
    let body = answer.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let mut text = format!("refused {}\n", answer.status());
    if !body.trim().is_empty() {
        text.push_str(&printable(body.trim()));
        text.push('\n');
    }
    Ok(print(&text)?)
}
