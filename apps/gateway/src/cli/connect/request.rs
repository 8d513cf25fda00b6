//! The request that asks for an upgrade, with the token in the header.

use anyhow::{Result, anyhow, bail, ensure};
use http::{HeaderValue, Request, header};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::cli::Environment;

/// A request for the endpoint at that address.
pub(super) fn upgrade(url: &str, origin: Option<&str>, environment: &Environment) -> Result<Request<()>> {
    let mut request = url
        .into_client_request()
        .map_err(|_| anyhow!("that is no address of a WebSocket: write ws://HOST:PORT/PATH"))?;
    let uri = request.uri();
    match uri.scheme_str() {
        Some("ws" | "wss") => {}
        _ => bail!("the address must begin with ws:// or wss://"),
    }
    let parameters = uri.query().unwrap_or_default();
    ensure!(
        !parameters.split('&').any(|pair| pair.split('=').next() == Some("token")),
        "a token does not belong on a command line, where others can read it: put it into GATEWAY_TOKEN"
    );
    let headers = request.headers_mut();
    let agent = HeaderValue::from_static(concat!("gateway/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    if let Some(origin) = origin {
        let value = HeaderValue::from_str(origin).map_err(|_| anyhow!("the origin is none that a header can carry"))?;
        headers.insert(header::ORIGIN, value);
    }
    let token = environment.iter().find(|(name, _)| name == "GATEWAY_TOKEN").map_or("", |(_, value)| value.trim());
    if !token.is_empty() {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| anyhow!("GATEWAY_TOKEN holds what no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(token: &str) -> Environment {
        vec![("GATEWAY_TOKEN".into(), token.into())]
    }

    #[test]
    fn the_token_goes_into_the_header_and_into_no_debug_output() {
        let request = upgrade("ws://127.0.0.1:1/ws?x=1", Some("https://app.example"), &environment(" abc\n")).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer abc");
        assert_eq!(request.headers()["origin"], "https://app.example");
        assert!(!format!("{request:?}").contains("abc"));
        let without = upgrade("ws://127.0.0.1:1/ws", None, &Vec::new()).unwrap();
        assert!(!without.headers().contains_key("authorization"));
    }

    #[test]
    fn what_cannot_be_asked_for_is_told_without_the_secret() {
        for (url, token, word) in [
            ("http://127.0.0.1/ws", "", "ws://"),
            ("nonsense", "", "ws://"),
            ("ws://127.0.0.1/ws?a=1&token=sesame", "", "GATEWAY_TOKEN"),
            ("ws://127.0.0.1/ws", "sesame\nopen", "GATEWAY_TOKEN"),
        ] {
            let told = format!("{:#}", upgrade(url, None, &environment(token)).unwrap_err());
            assert!(told.contains(word) && !told.contains("sesame"), "{told}");
        }
        assert!(upgrade("ws://127.0.0.1/ws", Some("a\nb"), &Vec::new()).is_err());
    }
}
