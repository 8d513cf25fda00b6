//! What is believed of a request's address, and what is not.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn law(rule: AddressRule) -> AddressLaw {
    AddressLaw::new(rule, vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()], true)
}

fn peer(address: &str) -> Peer {
    Peer::Ip(format!("{address}:4711").parse().unwrap())
}

fn client(rule: AddressRule, peer: &Peer, lines: &[&str]) -> String {
    let name = if rule == AddressRule::Forwarded { "forwarded" } else { "x-forwarded-for" };
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    law(rule).client(peer, &headers, None).unwrap().to_string()
}

fn forwarded_for_list(lines: &[&str]) -> String {
    client(AddressRule::XForwardedFor, &peer("10.0.0.1"), lines)
}

fn forwarded(lines: &[&str]) -> String {
    client(AddressRule::Forwarded, &peer("10.0.0.1"), lines)
}

#[test]
fn a_header_from_a_stranger_is_never_read() {
    for rule in [AddressRule::XForwardedFor, AddressRule::Forwarded, AddressRule::Peer] {
        assert_eq!(client(rule, &peer("203.0.113.9"), &["198.51.100.7", "for=198.51.100.7"]), "203.0.113.9");
    }
    assert_eq!(client(AddressRule::Peer, &peer("10.0.0.1"), &["198.51.100.7"]), "10.0.0.1");
    let proxied = Some("198.51.100.7".parse().unwrap());
    let law = law(AddressRule::ProxyProtocol);
    let told = |peer| law.client(&peer, &HeaderMap::new(), proxied).unwrap().to_string();
    assert_eq!(told(peer("203.0.113.9")), "203.0.113.9");
    assert_eq!(told(peer("10.0.0.1")), "198.51.100.7");
    assert_eq!(law.client(&peer("10.0.0.1"), &HeaderMap::new(), None).unwrap().to_string(), "10.0.0.1");
}

#[test]
fn the_walk_goes_from_right_to_left_past_trusted_hops() {
    assert_eq!(forwarded_for_list(&["6.6.6.6, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
    assert_eq!(forwarded_for_list(&["6.6.6.6, 198.51.100.7", "10.0.0.3 , 10.0.0.2"]), "198.51.100.7");
    assert_eq!(forwarded_for_list(&["10.0.0.9, 10.0.0.2"]), "10.0.0.9", "all trusted: the leftmost");
    assert_eq!(forwarded_for_list(&[]), "10.0.0.1");
    assert_eq!(forwarded(&["for=6.6.6.6, for=198.51.100.7;proto=https, FOR=10.0.0.2;by=10.0.0.1"]), "198.51.100.7");
}

#[test]
fn ports_brackets_and_mapped_addresses_are_read() {
    for (text, address) in [
        ("198.51.100.7:443", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ] {
        assert_eq!(forwarded_for_list(&[text]), address, "{text}");
    }
    assert_eq!(forwarded(&["for=\"[2001:db8::1]:80\""]), "2001:db8::1");
    assert_eq!(forwarded(&["For=\"198.51.100.7:80\";proto=http"]), "198.51.100.7");
    assert_eq!(client(AddressRule::Peer, &peer("[::ffff:1.2.3.4]"), &[]), "1.2.3.4");
}

#[test]
fn a_hop_that_is_no_address_ends_the_walk_at_the_nearest_trusted_hop() {
    for text in [
        "unknown",
        "",
        "_hidden",
        "300.1.1.1",
        "1.2.3.4:",
        "1.2.3.4:99999",
        "1.2.3.4:+8",
        "[1.2.3.4]",
        "[::1",
        "[::1]x",
        "é",
    ] {
        assert_eq!(forwarded_for_list(&[&format!("6.6.6.6, {text}")]), "10.0.0.1", "{text}");
        assert_eq!(forwarded_for_list(&[&format!("6.6.6.6, {text}, 10.0.0.2")]), "10.0.0.2", "{text}");
    }
    for text in [
        "for=unknown",
        "for=\"_x\"",
        "proto=https",
        "for=2001:db8::1",
        "for=[2001:db8::1]",
        "for=\"2001:db8::1\"",
        "for=1.2.3.4;for=5.6.7.8",
        "for=\"1.2.3\\.4\"",
        "for=\"1.2.3.4",
        "for=1.2.3.4:80",
    ] {
        assert_eq!(forwarded(&[&format!("for=6.6.6.6, {text}")]), "10.0.0.1", "{text}");
    }
}

#[test]
fn an_open_quote_of_the_client_swallows_nothing_of_the_proxy() {
    assert_eq!(forwarded(&["for=\"6.6.6.6, for=198.51.100.7"]), "198.51.100.7");
    assert_eq!(forwarded(&["for=\"", "for=198.51.100.7"]), "198.51.100.7");
    assert_eq!(forwarded(&["for=6.6.6.6;x=\"a, for=\"198.51.100.7\""]), "198.51.100.7");
    assert_eq!(forwarded(&["for=\"198.51.100.7\";x=\"a,b\""]), "198.51.100.7", "a comma in quotes is no border");
}

#[test]
fn a_unix_peer_is_local_or_a_proxy() {
    assert_eq!(client(AddressRule::Peer, &Peer::Unix, &[]), "local");
    assert_eq!(client(AddressRule::XForwardedFor, &Peer::Unix, &["198.51.100.7"]), "198.51.100.7");
    assert_eq!(client(AddressRule::XForwardedFor, &Peer::Unix, &["unknown"]), "local");
    let distrustful = AddressLaw::new(AddressRule::XForwardedFor, Vec::new(), false);
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.7"));
    let address = distrustful.client(&Peer::Unix, &headers, None).unwrap();
    assert_eq!((address, address.as_ip()), (ClientAddress::Local, None));
    assert_eq!((distrustful.rule(), distrustful.trusts(&Peer::Unix)), (AddressRule::XForwardedFor, false));
}

#[test]
fn a_chain_without_an_end_is_refused() {
    let many = vec!["10.0.0.2"; 33].join(",");
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_str(&many).unwrap());
    let refusal = law(AddressRule::XForwardedFor).client(&peer("10.0.0.1"), &headers, None).unwrap_err();
    assert_eq!(refusal.code, Code::InvalidRequest);
    let junk = format!("{}198.51.100.7", "x,".repeat(1000));
    assert_eq!(forwarded_for_list(&[&junk]), "198.51.100.7", "what the client made up is not even counted");
}

#[test]
fn forwarding_headers_are_noticed() {
    let with =
        |name: &'static str| HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("x"))]);
    for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"] {
        assert!(has_forwarding_headers(&with(name)), "{name}");
    }
    assert!(!has_forwarding_headers(&with("host")));
}

proptest! {
    #[test]
    fn no_header_panics(line in proptest::collection::vec(32u8..=255, 0..80), standard: bool) {
        let rule = if standard { AddressRule::Forwarded } else { AddressRule::XForwardedFor };
        let name = if standard { "forwarded" } else { "x-forwarded-for" };
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            headers.append(name, value);
        }
        let _ = law(rule).client(&peer("10.0.0.1"), &headers, None);
    }

    /// Whatever a client sends along, the proxy's own word behind it decides.
    #[test]
    fn a_client_never_chooses_its_address(line in "[ -~]{0,60}", standard: bool) {
        let (rule, name, own) = if standard {
            (AddressRule::Forwarded, "forwarded", "for=198.51.100.7")
        } else {
            (AddressRule::XForwardedFor, "x-forwarded-for", "198.51.100.7")
        };
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_str(&format!("{line}, {own}")).unwrap());
        let address = law(rule).client(&peer("10.0.0.1"), &headers, None).unwrap();
        prop_assert_eq!(address.to_string(), "198.51.100.7");
    }
}
