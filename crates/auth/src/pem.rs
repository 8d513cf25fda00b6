//! The armour around keys: one labelled block of base64, read and written; and what kind of key lies inside.

use aws_lc_rs::{rsa::PublicKey, signature::RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{algorithm::Family, key::KeyFault};

/// What stands before the point of a P-256 key in its public form (X.509 SubjectPublicKeyInfo).
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// The same for P-384.
const P384: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
/// The same for Ed25519.
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// More than any key needs.
const LONGEST: usize = 64 * 1024;
/// RSA keys below this can be broken, above the other too slow to be a door.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// One block.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Vec<u8>,
}

/// Reads the first block of a text.
pub(crate) fn block(text: &[u8]) -> Result<Block, KeyFault> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST).ok_or(KeyFault::NotPem)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(KeyFault::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyFault::NotPem)?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyFault::NotPem)?;
    if body.contains(':') {
        return Err(KeyFault::Encrypted);
    }
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| KeyFault::NotPem)?;
    Ok(Block { label: label.to_owned(), der })
}

/// Writes a block.
pub(crate) fn armoured(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Reads a public key, and gives the bytes that a check of a signature wants: a point, or an RSA key in PKCS #1.
pub(crate) fn public_key(text: &[u8], wanted: Family) -> Result<Vec<u8>, KeyFault> {
    let Block { label, der } = block(text)?;
    match label.as_str() {
        "PUBLIC KEY" => {
            let (found, bytes) = bare(&der)?;
            if found == wanted { Ok(bytes) } else { Err(KeyFault::Family { wanted, found }) }
        }
        "RSA PUBLIC KEY" if wanted == Family::Rsa => rsa(&der),
        "RSA PUBLIC KEY" => Err(KeyFault::Family { wanted, found: Family::Rsa }),
        "CERTIFICATE" => Err(KeyFault::Certificate),
        label if label.ends_with("PRIVATE KEY") => Err(KeyFault::PrivateGiven),
        _ => Err(KeyFault::NotPem),
    }
}

/// The public form of a bare key, to be armoured.
pub(crate) fn public_der(family: Family, bare: &[u8]) -> Vec<u8> {
    let prefix = match family {
        Family::P256 => P256,
        Family::P384 => P384,
        Family::Ed25519 => ED25519,
        Family::Secret | Family::Rsa => &[],
    };
    [prefix, bare].concat()
}

fn bare(der: &[u8]) -> Result<(Family, Vec<u8>), KeyFault> {
    for (family, prefix, length) in [(Family::P256, P256, 65), (Family::P384, P384, 97), (Family::Ed25519, ED25519, 32)]
    {
        if let Some(bytes) = der.strip_prefix(prefix).filter(|bytes| bytes.len() == length) {
            return Ok((family, checked(family, bytes)?));
        }
    }
    rsa(der).map(|bytes| (Family::Rsa, bytes))
}

/// Whether a point lies on its curve.
pub(crate) fn checked(family: Family, point: &[u8]) -> Result<Vec<u8>, KeyFault> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
    let parsed = match family {
        Family::P256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point),
        Family::P384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point),
        Family::Ed25519 => ParsedPublicKey::new(&ED25519, point),
        Family::Secret | Family::Rsa => return Err(KeyFault::Unreadable),
    };
    parsed.map(|_| point.to_vec()).map_err(|_| KeyFault::Unreadable)
}

/// An RSA key in either of its public forms, strong enough, in PKCS #1.
pub(crate) fn rsa(der: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let key = PublicKey::from_der(der).map_err(|_| KeyFault::Unreadable)?;
    let modulus = RsaPublicKeyComponents::<Vec<u8>>::from(&key).n;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(leading).map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = (modulus.len() - leading) * 8 - first;
    if RSA_BITS.contains(&bits) { Ok(key.as_ref().to_vec()) } else { Err(KeyFault::RsaSize(bits)) }
}

/// An RSA key from its two numbers.
pub(crate) fn rsa_from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, KeyFault> {
    // More than the longest RSA key that is taken; a longer exponent only makes each check slower.
    if modulus.len() > 1025 || exponent.len() > 5 {
        return Err(KeyFault::Unreadable);
    }
    rsa(&tagged(0x30, &[unsigned(modulus), unsigned(exponent)].concat()))
}

fn unsigned(number: &[u8]) -> Vec<u8> {
    let significant = number.iter().position(|byte| *byte != 0).and_then(|at| number.get(at..)).unwrap_or(&[]);
    let pad: &[u8] = if significant.first().is_none_or(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    tagged(0x02, &[pad, significant].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        der.push(0x80 | length.len() as u8);
        der.extend(length);
    } else {
        der.push(content.len() as u8);
    }
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_being_written() {
        let der: Vec<u8> = (0..=255).collect();
        let text = armoured("PUBLIC KEY", &der);
        let read = block(format!("a comment\n{text}").as_bytes()).unwrap();
        assert_eq!((read.label.as_str(), read.der), ("PUBLIC KEY", der));
        assert!(text.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "-----BEGIN X",
            "-----BEGIN X-----",
            "-----BEGIN X-----\nAA==\n-----END Y-----",
            "-----BEGIN X-----\n!!\n-----END X-----",
        ] {
            assert!(matches!(block(text.as_bytes()), Err(KeyFault::NotPem)), "{text}");
        }
        assert!(matches!(block(b"\xff"), Err(KeyFault::NotPem)));
        let locked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----";
        assert!(matches!(block(locked.as_bytes()), Err(KeyFault::Encrypted)));
    }

    #[test]
    fn numbers_are_written_in_the_shortest_form() {
        assert_eq!(unsigned(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[]), [2, 1, 0]);
        assert_eq!(tagged(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(tagged(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let mut point = vec![4];
        point.extend([1; 64]);
        assert!(matches!(checked(Family::P256, &point), Err(KeyFault::Unreadable)));
        assert!(matches!(checked(Family::Rsa, &point), Err(KeyFault::Unreadable)));
    }
}
