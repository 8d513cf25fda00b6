//! What is tried on every input, whoever brings it: libFuzzer with inputs of its own, or the stable test that replays
//! the corpus. A panic is the finding. Beyond "no panic", each entry says what must hold of what was read.

use gateway_transport::{
    engineio::{self, Payload, PayloadLimits, PayloadWriter},
    socketio::{Body, Decoder, Event, Outgoing, Packet, PacketLimits},
    websocket,
};
use tokio_tungstenite::tungstenite::{
    Bytes, Error, Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

/// One body of a poll. What can be read is written again as the very same bytes, within the limits.
pub(crate) fn engineio(data: &[u8]) {
    let limits = PayloadLimits { bytes: 4096, packets: 8 };
    if let Ok(text) = str::from_utf8(data)
        && let Ok(packet) = engineio::Packet::parse(text)
    {
        assert_eq!(packet.to_text(), text, "one packet");
    }
    let Ok(payload) = Payload::parse(data, limits) else { return };
    let Ok(packets) = payload.packets().collect::<Result<Vec<_>, _>>() else { return };
    assert!(packets.len() <= limits.packets && data.len() <= limits.bytes, "the limits of a payload");
    let mut writer = PayloadWriter::new(limits);
    for packet in &packets {
        assert!(writer.has_room_for(packet.to_text().len()), "what came in fits again");
        writer.push(packet);
    }
    assert_eq!(writer.into_text().as_bytes(), data, "a payload");
}

/// The messages of one client, each up to a byte 0xff: bytes where they begin with one of 0x00, else text. What is whole
/// is within its limits, and what a server would say of it is read as the same.
pub(crate) fn socketio(data: &[u8]) {
    let small =
        PacketLimits { bytes: 512, attachments: 3, depth: 6, arguments: 3, namespace: 12, name: 8, ack_digits: 4 };
    for limits in [PacketLimits::default(), small] {
        let mut decoder = Decoder::new(limits);
        for message in data.split(|byte| *byte == 0xff) {
            let packet = match (message.strip_prefix(&[0]), str::from_utf8(message)) {
                (Some(bytes), _) => decoder.binary(Bytes::copy_from_slice(bytes)),
                (None, Ok(text)) => decoder.text(text),
                (None, Err(_)) => break,
            };
            match packet {
                Ok(packet) => packet.iter().for_each(|packet| is_within(packet, &limits)),
                Err(_) => break,
            }
        }
    }
}

fn is_within(packet: &Packet<'_>, limits: &PacketLimits) {
    let namespace = packet.namespace.path();
    assert!(namespace.starts_with('/') && namespace.len() <= limits.namespace && !namespace.contains(','));
    let (arguments, attachments) = match &packet.body {
        Body::Connect(credentials) => {
            let _ = credentials.token();
            return;
        }
        Body::Disconnect | Body::ConnectError(_) => return,
        Body::Event(event) => {
            assert!(event.name.len() <= limits.name, "the name");
            (&event.arguments, &event.attachments)
        }
        Body::Ack(ack) => (&ack.arguments, &ack.attachments),
    };
    let bytes: usize = arguments.iter().map(|json| json.get().len()).chain(attachments.iter().map(Bytes::len)).sum();
    assert!(bytes <= limits.bytes && arguments.len() <= limits.arguments, "the arguments");
    assert!(attachments.len() <= limits.attachments, "the attachments");
    if let (Body::Event(Event { name, .. }), [argument]) = (&packet.body, &**arguments) {
        let text = Outgoing::Event { name, argument }.to_message(namespace);
        let again = Decoder::new(PacketLimits::default()).text(&text[1..]).ok().flatten();
        let Some(Packet { namespace: place, body: Body::Event(event) }) = again else {
            panic!("what was said is not read: {text}")
        };
        assert_eq!((place.path(), &*event.name, event.arguments[0].get()), (namespace, &**name, argument.get()));
    }
}

/// The bytes of a WebSocket from its first frame on. Whole or byte by byte, it is the same; and it is what another
/// implementation reads.
pub(crate) fn websocket(data: &[u8]) {
    const MOST: usize = 2048;
    let read = frames(data, MOST, data.len().max(1));
    assert_eq!(read, frames(data, MOST, 1), "byte by byte");
    let (whole, is_well) = read;
    let (theirs, is_well_there) = other_reading(data, MOST);
    // Here some is refused that passes elsewhere, such as a short control frame whose length takes more bytes than it
    // needs; what is refused elsewhere never passes here.
    assert!(if is_well { whole == theirs } else { theirs.starts_with(&whole) }, "{whole:?} {theirs:?}");
    assert!(is_well_there || !is_well, "what is refused elsewhere is taken here");
}

/// What was read up to a fault, the end, or a close frame; and whether there was no fault.
fn frames(data: &[u8], most: usize, size: usize) -> (Vec<String>, bool) {
    let mut decoder = websocket::Decoder::new(most);
    let mut read = Vec::new();
    for mut piece in data.chunks(size) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(None) => break,
                Ok(Some(websocket::Whole::Close(_))) => return (read, true),
                Ok(Some(websocket::Whole::Message(websocket::Inbound::Text(text)))) => {
                    read.push(format!("text {text}"))
                }
                Ok(Some(websocket::Whole::Message(other))) => read.push(match other {
                    websocket::Inbound::Binary(bytes) => format!("binary {bytes:?}"),
                    other => panic!("no message: {other:?}"),
                }),
                Ok(Some(websocket::Whole::Ping(bytes))) => read.push(format!("ping {bytes:?}")),
                Ok(Some(websocket::Whole::Pong)) => read.push("pong".into()),
                Err(_) => return (read, false),
            }
        }
    }
    (read, true)
}

/// The same by tungstenite.
fn other_reading(data: &[u8], most: usize) -> (Vec<String>, bool) {
    let config = WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
    let mut socket = WebSocket::from_raw_socket(Deaf(data), Role::Server, Some(config));
    let mut read = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => read.push(format!("text {text}")),
            Ok(Message::Binary(bytes)) => read.push(format!("binary {bytes:?}")),
            Ok(Message::Ping(bytes)) => read.push(format!("ping {bytes:?}")),
            Ok(Message::Pong(_)) => read.push("pong".into()),
            Ok(Message::Close(_) | Message::Frame(_)) => return (read, true),
            Err(Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => {
                return (read, true);
            }
            Err(Error::Io(_) | Error::ConnectionClosed) => return (read, true),
            Err(_) => return (read, false),
        }
    }
}

/// A stream that says what there is, and hears nothing.
struct Deaf<'a>(&'a [u8]);

impl std::io::Read for Deaf<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Deaf<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
