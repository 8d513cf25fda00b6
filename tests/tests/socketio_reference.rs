//! Packets are read as the library's own parser reads them: what is taken here means the same there, over the whole
//! corpus of the fuzz target. The other way it need not hold: much is refused here that passes there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use gateway_tests::node;
use gateway_transport::socketio::{Body, Decoder, Json, Packet, PacketLimits};
use serde_json::{Value, json, value::RawValue};
use tokio_tungstenite::tungstenite::Bytes;

#[tokio::test]
async fn what_is_taken_here_means_the_same_to_the_library() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/socketio");
    let theirs = node::run("socketio_parser.mjs", &[("CORPUS", corpus.to_str().unwrap())]).await;
    assert!(theirs.len() >= 100, "{} files: the corpus is gone", theirs.len());
    let mut compared = 0;
    for line in theirs {
        let file = line["name"].as_str().unwrap();
        let ours = read(&fs::read(corpus.join(file)).unwrap());
        let theirs = line["packets"].as_array().unwrap();
        assert!(theirs.len() >= ours.len(), "{file}: taken here, refused there: {ours:?} {theirs:?}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(agrees(ours, theirs), "{file}: {ours} is there {theirs}");
            compared += 1;
        }
    }
    assert!(compared >= 50, "only {compared} packets were taken");
}

/// The packets of a file, told as the script tells them.
fn read(data: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::new(PacketLimits::default());
    let mut packets = Vec::new();
    for message in data.split(|byte| *byte == 0xff) {
        let packet = match (message.strip_prefix(&[0]), str::from_utf8(message)) {
            (Some(bytes), _) => decoder.binary(Bytes::copy_from_slice(bytes)),
            (None, Ok(text)) => decoder.text(text),
            (None, Err(_)) => break,
        };
        match packet {
            Ok(packet) => packets.extend(packet.map(|packet| told(&packet))),
            Err(_) => break,
        }
    }
    packets
}

fn told(packet: &Packet<'_>) -> Value {
    let query = packet.namespace.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (kind, id, data) = match &packet.body {
        Body::Connect(credentials) => (0, None, credentials.json().map_or(Value::Null, |json| value(json, &[]))),
        Body::Disconnect => (1, None, Value::Null),
        Body::ConnectError(reason) => (4, None, value(reason, &[])),
        Body::Event(event) => {
            let mut list = vec![Value::from(&*event.name)];
            list.extend(values(&event.arguments, &event.attachments));
            (2, event.ack, list.into())
        }
        Body::Ack(ack) => (3, Some(ack.id), values(&ack.arguments, &ack.attachments).into()),
    };
    json!({"type": kind, "nsp": format!("{}{query}", packet.namespace.path()), "id": id, "data": data})
}

fn values(list: &[Json<'_>], attachments: &[Bytes]) -> Vec<Value> {
    list.iter().map(|json| value(json, attachments)).collect()
}

/// JSON with the attachments in their places. What JavaScript reads and `serde_json` does not, such as a number beyond
/// all numbers, is told as that text.
fn value(json: &RawValue, attachments: &[Bytes]) -> Value {
    let mut value = serde_json::from_str(json.get()).unwrap_or_else(|_| json!({ "unread": json.get() }));
    fill(&mut value, attachments);
    value
}

fn fill(value: &mut Value, attachments: &[Bytes]) {
    if !attachments.is_empty() && value["_placeholder"] == true {
        let bytes = &attachments[usize::try_from(value["num"].as_u64().unwrap()).unwrap()];
        *value = json!({ "bytes": BASE64.encode(bytes) });
        return;
    }
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| fill(inner, attachments)),
        Value::Object(members) => members.values_mut().for_each(|inner| fill(inner, attachments)),
        _ => {}
    }
}

/// Numbers are what JavaScript makes of them.
fn agrees(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agrees(ours, theirs))
        }
        (Value::Object(ours), _) if ours.contains_key("unread") => true,
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, ours)| theirs.get(name).is_some_and(|theirs| agrees(ours, theirs)))
        }
        _ => ours == theirs,
    }
}
