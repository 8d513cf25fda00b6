//! Answers, and the reading of bodies that have an end.

use std::{borrow::Cow, pin::pin, time::Duration};

use futures_util::{Stream, StreamExt};
use gateway_domain::{Code, Refusal};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use warp::{Buf, reply::Response};

use crate::refusal::Fault;

/// How long a body may take to come.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// What a call comes to.
pub(super) type Answer = Result<Response, Faulty>;

/// A refusal, and what an HTTP client is told besides.
#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) refusal: Box<Refusal>,
    pub(super) details: Vec<Fault>,
    pub(super) allow: Option<Cow<'static, str>>,
}

impl From<Refusal> for Faulty {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), details: Vec::new(), allow: None }
    }
}

/// The body of a request.
pub(super) trait BodyStream: Stream<Item = Result<Self::Chunk, warp::Error>> + Send {
    type Chunk: Buf + Send;
}

impl<S, B> BodyStream for S
where
    S: Stream<Item = Result<B, warp::Error>> + Send,
    B: Buf + Send,
{
    type Chunk = B;
}

/// A JSON answer.
pub(super) fn json(value: &impl Serialize) -> Answer {
    json_with(StatusCode::OK, value)
}

/// A JSON answer with a status of its own.
pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|fault| Refusal::plain(Code::Internal).because(format!("an answer has no JSON form: {fault}")))?;
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Reads a JSON body of at most so many bytes. No body at all reads as `empty`, where that is given.
pub(super) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: impl BodyStream,
    most: usize,
    empty: Option<T>,
) -> Result<T, Faulty> {
    let bytes = collect_patiently(body, most).await?;
    if bytes.is_empty()
        && let Some(empty) = empty
    {
        return Ok(empty);
    }
    // A body without a word of what it is can only be JSON: nothing else is taken.
    let kind = headers.get(header::CONTENT_TYPE).map_or("application/json", |value| value.to_str().unwrap_or_default());
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(Code::UnsupportedData, "send the body as application/json").into());
    }
    serde_json::from_slice(&bytes).map_err(|fault| Faulty {
        refusal: Box::new(Refusal::new(Code::InvalidRequest, "the body has not the form")),
        details: vec![Fault {
            path: format!("line {} column {}", fault.line(), fault.column()),
            message: fault.to_string(),
        }],
        allow: None,
    })
}

/// Reads a body of at most so many bytes, in time.
pub(super) async fn collect_patiently(body: impl BodyStream, most: usize) -> Result<Vec<u8>, Refusal> {
    tokio::time::timeout(BODY_PATIENCE, collect(body, most)).await.map_err(|_| too_slow())?
}

fn too_slow() -> Refusal {
    Refusal::new(Code::InvalidRequest, format!("the body took more than {} s to come", BODY_PATIENCE.as_secs()))
}

async fn collect(body: impl BodyStream, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|_| Refusal::new(Code::InvalidRequest, "the body ended early"))?;
        if bytes.len() + chunk.remaining() > most {
            return Err(Refusal::new(Code::MessageTooBig, format!("a body has at most {most} bytes")));
        }
        while chunk.has_remaining() {
            let part = chunk.chunk();
            bytes.extend_from_slice(part);
            let length = part.len();
            chunk.advance(length);
        }
    }
    Ok(bytes)
}

/// What is wrong with one member.
pub(super) fn fault(path: &str, message: impl Into<String>) -> Faulty {
    let fault = Fault { path: path.into(), message: message.into() };
    Faulty {
        refusal: Box::new(Refusal::new(Code::InvalidRequest, format!("{}: {}", fault.path, fault.message))),
        details: vec![fault],
        allow: None,
    }
}
