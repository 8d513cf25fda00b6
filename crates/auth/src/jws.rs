//! The outer form of a token: three parts of strict base64url, a header that says nothing this gateway does not
//! know, and claims. Nothing here is believed yet; keys that a header brings along or points at are not even read.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_domain::{
    Token,
    refusal::{Detail, Refusal},
};
use serde_json::{Map, Value};

use crate::{algorithm::Algorithm, json};

/// A token taken apart.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    /// What the signature is over.
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// The part of the header that chooses among keys.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<Arc<str>>,
    pub(crate) issuer: Option<&'a str>,
}

pub(crate) fn malformed(message: &'static str) -> Refusal {
    Refusal::invalid_token(Detail::Malformed, message)
}

impl<'a> Jws<'a> {
    /// Takes a token apart; a longer one is not looked at.
    pub(crate) fn parse(token: &'a Token, max_bytes: usize) -> Result<Self, Refusal> {
        let text = token.expose();
        if text.len() > max_bytes {
            let message = format!("the token has {} bytes: at most {max_bytes} are taken", text.len());
            return Err(Refusal::invalid_token(Detail::TooLong, message));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("a token has three parts with a dot between them"));
        };
        let message = text.as_bytes().get(..header.len() + 1 + claims.len()).unwrap_or_default();
        // One buffer for all parts, large enough for the longest: the signature stays in it.
        let mut bytes = Vec::with_capacity(header.len().max(claims.len()).max(signature.len()));
        let header = object(decoded(header, &mut bytes)?)?;
        let claims = object(decoded(claims, &mut bytes)?)?;
        decoded(signature, &mut bytes)?;
        let signature = bytes;
        Ok(Self { header, claims, message, signature })
    }

    /// What the header asks for, where this gateway understands all of it.
    pub(crate) fn wanted(&self) -> Result<Wanted<'_>, Refusal> {
        let algorithm = match self.header.get("alg") {
            Some(Value::String(name)) => name.parse().map_err(|_| {
                let message = if name.eq_ignore_ascii_case("none") {
                    "an unsigned token is no token"
                } else {
                    "the token's algorithm is not taken here"
                };
                Refusal::invalid_token(Detail::Algorithm, message)
            })?,
            _ => return Err(malformed("the token's header names no algorithm")),
        };
        if self.header.contains_key("crit") {
            return Err(Refusal::invalid_token(Detail::Crit, "the token demands an extension that is not known here"));
        }
        if !self.header.get("typ").is_none_or(is_access_token) {
            return Err(malformed("the token's type is not that of an access token"));
        }
        let kid = match self.header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(Arc::from(kid.as_str())),
            Some(_) => return Err(malformed("the token's key id is not a text")),
        };
        let issuer = match self.claims.get("iss") {
            None => None,
            Some(Value::String(issuer)) => Some(issuer.as_str()),
            Some(_) => return Err(Refusal::invalid_token(Detail::Issuer, "the token's issuer is not a text")),
        };
        Ok(Wanted { algorithm, kid, issuer })
    }
}

/// Tokens of another purpose (identity, refresh, logout) say so here, and open nothing.
fn is_access_token(typ: &Value) -> bool {
    let Some(typ) = typ.as_str() else { return false };
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

fn decoded<'b>(part: &str, bytes: &'b mut Vec<u8>) -> Result<&'b [u8], Refusal> {
    bytes.clear();
    URL_SAFE_NO_PAD.decode_vec(part, bytes).map_err(|_| malformed("a part of the token is not base64url"))?;
    Ok(bytes)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    json::object(bytes).map_err(|_| malformed("a part of the token is not a JSON object with every member named once"))
}
