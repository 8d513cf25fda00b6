//! A handshake made by hand: what a client would have sent, with the token where the gateway looks first.

use std::{net::IpAddr, sync::Arc};

use gateway_domain::{Code, Refusal, RequestId, Token};
use gateway_server::{
    endpoint::{Endpoint, Parameters},
    gate::Handshake,
};
use gateway_transport::{ClientAddress, Query, TokenSource};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use uuid::Uuid;

/// What is known of the client.
pub(super) struct Knock<'a> {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) parameters: Parameters,
    pub(super) query: &'a str,
    pub(super) origin: Option<&'a str>,
    pub(super) host: &'a str,
    pub(super) address: Option<IpAddr>,
    pub(super) secure: bool,
}

impl Knock<'_> {
    /// The handshake, with the token in the first of these sources.
    pub(super) fn handshake(self, sources: &[TokenSource], token: &Token) -> Result<Handshake, Refusal> {
        let mut headers = HeaderMap::new();
        put(&mut headers, header::HOST, self.host)?;
        if let Some(origin) = self.origin {
            put(&mut headers, header::ORIGIN, origin)?;
        }
        let mut query = self.query.to_owned();
        let token = token.expose();
        match sources.first() {
            None => {}
            Some(_) if token.is_empty() => {}
            Some(TokenSource::Query) => {
                let front = if query.is_empty() { "" } else { "&" };
                query.push_str(&format!("{front}token={}", escaped(token)));
            }
            Some(TokenSource::Header) => put(&mut headers, header::AUTHORIZATION, &format!("Bearer {token}"))?,
            Some(TokenSource::Subprotocol) => {
                put(&mut headers, header::SEC_WEBSOCKET_PROTOCOL, &format!("gateway.v1, bearer.{token}"))?;
            }
            Some(TokenSource::Cookie(name)) => put(&mut headers, header::COOKIE, &format!("{name}={token}"))?,
        }
        Ok(Handshake {
            request_id: RequestId::new(Uuid::new_v4()),
            endpoint: self.endpoint,
            parameters: self.parameters,
            address: self.address.map_or(ClientAddress::Local, ClientAddress::ip),
            query: Query::parse(&query)?,
            headers,
            secure: self.secure,
        })
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Refusal> {
    let fits = HeaderValue::from_str(value);
    let value = fits.map_err(|_| Refusal::new(Code::InvalidRequest, format!("no {name} header can carry that")))?;
    headers.insert(name, value);
    Ok(())
}

/// Percent-encoded, as a query wants it.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_transport::TokenSources;

    fn knock(query: &str) -> Knock<'_> {
        let (endpoint, parameters) = (Endpoint::at("/ws"), Parameters::default());
        Knock {
            endpoint: Arc::new(endpoint),
            parameters,
            query,
            origin: None,
            host: "here",
            address: None,
            secure: false,
        }
    }

    #[test]
    fn the_token_is_found_again_in_whatever_source_comes_first() {
        let token = Token::new("abc.d-e_f.~&%+");
        for source in ["query", "header", "subprotocol", "cookie:session"] {
            let text = if source == "query" { "abc.d-e_f.~&%+" } else { "abc.def" };
            let sources = TokenSources::new(vec![source.parse().unwrap()]);
            let token = if source == "query" { token.clone() } else { Token::new(text) };
            let handshake = knock("agentId=7").handshake(sources.as_slice(), &token).unwrap();
            let (found, from) = sources.find(&handshake.query, &handshake.headers).unwrap().unwrap();
            assert_eq!((found.expose(), from), (text, source.parse().unwrap()));
            assert_eq!(handshake.query.get("agentId").unwrap(), Some("7"));
        }
    }

    #[test]
    fn an_empty_token_is_none_and_one_that_no_header_carries_is_refused_without_being_told() {
        let sources = [TokenSource::Header];
        let empty = knock("").handshake(&sources, &Token::new("")).unwrap();
        assert!(TokenSources::new(sources.to_vec()).find(&empty.query, &empty.headers).unwrap().is_none());
        let refusal = knock("").handshake(&sources, &Token::new("secret\nline")).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidRequest);
        assert!(!refusal.to_string().contains("secret"));
    }
}
