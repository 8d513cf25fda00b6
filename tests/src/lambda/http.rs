//! As much of HTTP/1.1 as the services of the harness speak: a request with a body of a known length or in chunks, and an
//! answer.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A request.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in the case in which they came.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Reads the next request; none at the end.
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Self { method: words.next()?, target: words.next()?, ..Self::default() };
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if request.header("transfer-encoding").is_some() {
            loop {
                let mut size = String::new();
                stream.read_line(&mut size).await.ok()?;
                let size = usize::from_str_radix(size.trim(), 16).ok()?;
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk).await.ok()?;
                if size == 0 {
                    break;
                }
                request.body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = request.header("content-length").and_then(|text| text.parse().ok()) {
            request.body = vec![0; length];
            stream.read_exact(&mut request.body).await.ok()?;
        }
        Some(request)
    }
}

/// Writes an answer.
pub(super) async fn answer(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()
}

/// Calls DynamoDB behind the function's back.
pub(super) async fn dynamodb(address: SocketAddr, operation: &str, body: &Value) -> Value {
    let client = reqwest::Client::new();
    let signature =
        "AWS4-HMAC-SHA256 Credential=a/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=b";
    let call = client
        .post(format!("http://{address}/"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", signature)
        .body(body.to_string());
    let answer = call.send().await.expect("the table").text().await.expect("its answer");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert!(answer["__type"].is_null(), "{answer}");
    answer
}
