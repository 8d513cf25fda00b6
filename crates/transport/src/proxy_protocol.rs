//! The PROXY protocol, versions 1 and 2: what a balancer says of its client before the client's first byte. The
//! parser takes any bytes; the reader takes from the stream exactly what the header has and not a byte more.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD: usize = 16;
const V1_SHORTEST: usize = b"PROXY UNKNOWN\r\n".len();
const V1_LONGEST: usize = 107;
/// Addresses and the balancer's extras; none says as much.
const V2_LONGEST: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Nothing yet: so many bytes more, at least.
    Needs(usize),
    /// All.
    Whole {
        /// The client's address; none where the balancer speaks for itself or does not know.
        source: Option<IpAddr>,
        /// How many bytes the header has.
        length: usize,
    },
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFault {
    /// The bytes are no such header.
    #[error("no header of the PROXY protocol: {0}")]
    Malformed(&'static str),
    /// The stream ended or failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a header from the beginning of a stream, and returns the client's address where it tells one.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, ProxyFault> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes)? {
            Parsed::Whole { source, .. } => return Ok(source),
            Parsed::Needs(more) => {
                let start = bytes.len();
                bytes.resize(start + more, 0);
                stream.read_exact(bytes.get_mut(start..).unwrap_or_default()).await?;
            }
        }
    }
}

/// Parses the beginning of a stream.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyFault> {
    let starts = |signature: &[u8]| bytes.iter().zip(signature).all(|(byte, expected)| byte == expected);
    if starts(V2_SIGNATURE) && bytes.len() >= V2_SIGNATURE.len() {
        version_2(bytes)
    } else if starts(b"PROXY ") && bytes.len() >= V2_SIGNATURE.len() {
        version_1(bytes)
    } else if starts(V2_SIGNATURE) || starts(b"PROXY ") {
        Ok(Parsed::Needs(V2_SIGNATURE.len() - bytes.len()))
    } else {
        Err(ProxyFault::Malformed("the stream begins with something else"))
    }
}

fn version_1(bytes: &[u8]) -> Result<Parsed, ProxyFault> {
    let malformed = |what| Err(ProxyFault::Malformed(what));
    let line_end = bytes.windows(2).take(V1_LONGEST - 1).position(|pair| pair == b"\r\n");
    let Some((line, _)) = line_end.and_then(|end| bytes.split_at_checked(end)) else {
        if bytes.len() >= V1_LONGEST {
            return malformed("the line does not end");
        }
        // Byte by byte beyond the shortest line: what follows the line is the client's.
        return Ok(Parsed::Needs(V1_SHORTEST.saturating_sub(bytes.len()).max(1)));
    };
    let length = line.len() + 2;
    let Ok(line) = std::str::from_utf8(line) else { return malformed("the line is not text") };
    let fields: Vec<_> = line.split(' ').collect();
    let source = match fields.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, target, source_port, target_port] => {
            let address = |text: &str| text.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv4() == (*family == "TCP4"));
            let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
            match (address(source), address(target)) {
                (Some(source), Some(_)) if is_port(source_port) && is_port(target_port) => Some(source),
                _ => return malformed("an address or a port cannot be read"),
            }
        }
        _ => return malformed("the line has not the form"),
    };
    Ok(Parsed::Whole { source: source.map(|ip| ip.to_canonical()), length })
}

fn version_2(bytes: &[u8]) -> Result<Parsed, ProxyFault> {
    let malformed = |what| Err(ProxyFault::Malformed(what));
    let Some((head, rest)) = bytes.split_first_chunk::<V2_HEAD>() else {
        return Ok(Parsed::Needs(V2_HEAD - bytes.len()));
    };
    let [.., command, family, high, low] = *head;
    let size = usize::from(u16::from_be_bytes([high, low]));
    if size > V2_LONGEST {
        return malformed("it is longer than any");
    }
    let Some((body, _)) = rest.split_at_checked(size) else {
        return Ok(Parsed::Needs(size - rest.len()));
    };
    let source = match (command, family) {
        // The balancer's own connection: a health check.
        (0x20, _) => None,
        (0x21, 0x11) => match body.split_first_chunk::<12>() {
            Some(([a, b, c, d, ..], _)) => Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
            None => return malformed("it is too short for its addresses"),
        },
        (0x21, 0x21) => match body.split_first_chunk::<36>().and_then(|(all, _)| all.first_chunk::<16>()) {
            Some(source) => Some(IpAddr::V6(Ipv6Addr::from(*source))),
            None => return malformed("it is too short for its addresses"),
        },
        // Unspecified, or a unix socket at the balancer.
        (0x21, 0x00 | 0x31) => None,
        _ => return malformed("its version, command or family is unknown"),
    };
    Ok(Parsed::Whole { source: source.map(|ip| ip.to_canonical()), length: V2_HEAD + size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(bytes: &[u8]) -> Option<String> {
        match parse(bytes).unwrap() {
            Parsed::Whole { source, length } => {
                assert_eq!(length, bytes.len());
                source.map(|ip| ip.to_string())
            }
            Parsed::Needs(more) => panic!("{more} bytes are missing"),
        }
    }

    fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &size, body].concat()
    }

    fn v4_body() -> Vec<u8> {
        vec![198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x34, 1, 0xbb]
    }

    #[test]
    fn version_1_tells_the_client() {
        assert_eq!(source(b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n").as_deref(), Some("198.51.100.7"));
        assert_eq!(source(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n").as_deref(), Some("2001:db8::1"));
        assert_eq!(source(b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n").as_deref(), Some("1.2.3.4"));
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n"), None);
    }

    #[test]
    fn version_2_tells_the_client() {
        assert_eq!(source(&version_2(0x21, 0x11, &v4_body())).as_deref(), Some("198.51.100.7"));
        let extras = [v4_body(), vec![4, 0, 1, 0]].concat();
        assert_eq!(source(&version_2(0x21, 0x11, &extras)).as_deref(), Some("198.51.100.7"));
        let v6 = [&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat();
        assert_eq!(source(&version_2(0x21, 0x21, &v6)).as_deref(), Some("2001:db8::1"));
        assert_eq!(source(&version_2(0x20, 0x00, &[])), None);
        assert_eq!(source(&version_2(0x20, 0x11, &v4_body())), None, "LOCAL: the addresses do not count");
        assert_eq!(source(&version_2(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn what_is_no_header_is_malformed() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY \xff\xff\xff\xff\xff\xff\xff\r\n",
            &[&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
            &version_2(0x31, 0x11, &v4_body()),
            &version_2(0x22, 0x11, &v4_body()),
            &version_2(0x21, 0x12, &v4_body()),
            &version_2(0x21, 0x11, &v4_body()[..11]),
            &version_2(0x21, 0x21, &[0; 35]),
            &version_2(0x21, 0x11, &[0; 4097]),
        ] {
            assert!(matches!(parse(bytes), Err(ProxyFault::Malformed(_))), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn not_a_byte_of_the_client_is_taken() {
        for header in [
            b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            version_2(0x21, 0x11, &v4_body()),
        ] {
            let bytes = [&header[..], b"GET /"].concat();
            let mut stream = &bytes[..];
            read(&mut stream).await.unwrap();
            assert_eq!(stream, b"GET /");
            let mut cut = &header[..header.len() - 1];
            assert!(matches!(read(&mut cut).await, Err(ProxyFault::Io(_))));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0u8..3) {
            let prefix: &[u8] = match version { 0 => b"", 1 => b"PROXY ", _ => V2_SIGNATURE };
            let bytes = [prefix, &bytes].concat();
            match parse(&bytes) {
                Ok(Parsed::Whole { length, .. }) => prop_assert!(length <= bytes.len()),
                Ok(Parsed::Needs(more)) => prop_assert!(more > 0 && more <= V2_LONGEST),
                Err(_) => {}
            }
        }

        #[test]
        fn a_line_that_was_written_is_read(ip: u32, port: u16) {
            let ip = Ipv4Addr::from(ip);
            let line = format!("PROXY TCP4 {ip} 10.0.0.1 {port} 443\r\n");
            prop_assert_eq!(source(line.as_bytes()), Some(ip.to_string()));
        }
    }
}
