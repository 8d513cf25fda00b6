//! Until when a certificate is good. Of its DER no more is read than stands in front of that: whether it is sound is for
//! the library of TLS to judge, and was judged before.

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway_domain::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the first certificate of a PEM text; none where it is not read.
pub(super) fn until(pem: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let certificate = Value::first(&der)?.inside(SEQUENCE)?;
    let mut fields = Value::first(certificate)?.inside(SEQUENCE)?;
    // The version may be left out; then serial number, algorithm and issuer stand in front.
    if fields.first() == Some(&VERSION) {
        fields = Value::first(fields)?.behind;
    }
    for _ in 0..3 {
        fields = Value::first(fields)?.behind;
    }
    let validity = Value::first(fields)?.inside(SEQUENCE)?;
    moment(&Value::first(Value::first(validity)?.behind)?)
}

/// One value of DER, and what comes behind it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    behind: &'a [u8],
}

impl<'a> Value<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            // The length has a length of its own.
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(length)?;
        Some(Self { tag, content, behind })
    }

    fn inside(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// `YYMMDDhhmmssZ`, or with a year of four digits.
fn moment(value: &Value<'_>) -> Option<Timestamp> {
    let text = str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match value.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    let parts: Vec<&str> = (0..5).filter_map(|at| rest.get(at * 2..at * 2 + 2)).collect();
    let [month, day, hour, minute, second] = parts.as_slice() else { return None };
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, told) in [(2031, "2031-03-04T00:00:00.000Z"), (2060, "2060-03-04T00:00:00.000Z")] {
            let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            wanted.not_after = rcgen::date_time_ymd(year, 3, 4);
            let key = rcgen::KeyPair::generate().unwrap();
            let pem = wanted.self_signed(&key).unwrap().pem();
            assert_eq!(until(pem.as_bytes()).unwrap().to_string(), told);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let torn = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for text in ["", "-----BEGIN CERTIFICATE-----\n", torn] {
            assert_eq!(until(text.as_bytes()), None, "{text}");
        }
    }
}
