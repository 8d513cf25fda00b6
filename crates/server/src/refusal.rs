//! A refusal becomes a status, a body and headers here, and nowhere else; close frames are made by
//! [`gateway_transport::CloseFrame::of`], error messages by [`ErrorPayload`]. Every table is the domain's.

use std::borrow::Cow;

use gateway_domain::{Advice, Code, Detail, Refusal, RequestId};
use http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::words;

/// The body of every answer that is a refusal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub struct Body<'a> {
    error: ErrorBody<'a>,
}

/// What was refused, why, and what to do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RefusalError")]
struct ErrorBody<'a> {
    #[schemars(with = "words::CodeName")]
    code: Code,
    /// A sentence for whoever reads it; it may change.
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::DetailName")]
    detail: Option<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::AdviceName")]
    then: Option<Advice>,
    /// After so many seconds it makes sense to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    retry_after: Option<u64>,
    #[schemars(with = "words::Request")]
    request_id: RequestId,
    /// What is wrong in which place.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [Fault],
}

/// What is wrong with one member of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// Where: a JSON pointer into the body, the name of a parameter, or a line and column.
    pub path: String,
    /// What.
    pub message: String,
}

/// The payload of an `error` message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ErrorPayload")]
pub struct ErrorPayload<'a> {
    #[schemars(with = "words::CodeName")]
    code: Code,
    /// A sentence for whoever reads it; it may change.
    message: Cow<'a, str>,
    /// After so many seconds it makes sense to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::DetailName")]
    detail: Option<Detail>,
}

impl<'a> ErrorPayload<'a> {
    /// What a client in a live connection reads of a refusal.
    pub fn of(refusal: &'a Refusal) -> Self {
        Self {
            code: refusal.code,
            message: Cow::Borrowed(&refusal.message),
            retry_after: refusal.retry_after_seconds(),
            detail: refusal.detail,
        }
    }

    /// The same, kept.
    pub fn into_owned(self) -> ErrorPayload<'static> {
        let Self { code, message, retry_after, detail } = self;
        ErrorPayload { code, message: Cow::Owned(message.into_owned()), retry_after, detail }
    }
}

/// The HTTP answer to a refused handshake or call.
pub fn response(refusal: &Refusal, request_id: RequestId) -> Response<Vec<u8>> {
    response_with(refusal, request_id, &[])
}

/// The same, with what is wrong in which place.
pub fn response_with(refusal: &Refusal, request_id: RequestId, details: &[Fault]) -> Response<Vec<u8>> {
    let status = refusal.code.http_status().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let waits = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = refusal.retry_after_seconds().or(waits.then_some(1));
    let body = Body {
        error: ErrorBody {
            code: refusal.code,
            message: &refusal.message,
            detail: refusal.detail,
            then: refusal.code.advice(),
            retry_after,
            request_id,
            details,
        },
    };
    // A structure of strings and numbers always has a JSON form.
    let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    if status == StatusCode::UNAUTHORIZED {
        put("www-authenticate", challenge(refusal));
    }
    if waits && let Some(seconds) = retry_after {
        put("retry-after", seconds.to_string());
    }
    if status == StatusCode::TOO_MANY_REQUESTS
        && let Some(met) = refusal.limit
    {
        put("x-ratelimit-limit", met.limit.to_string());
        put("x-ratelimit-remaining", "0".into());
        if let Some(period) = met.period {
            put("x-ratelimit-period", period.as_secs().max(1).to_string());
        }
    }
    if refusal.code == Code::UpgradeRequired {
        put("upgrade", "websocket".into());
        put("connection", "upgrade".into());
        put("sec-websocket-version", "13".into());
    }
    response
}

/// RFC 6750: what kind of token failure it was, in words that fit between quotes.
fn challenge(refusal: &Refusal) -> String {
    let error = if refusal.code == Code::AuthRequired { "invalid_request" } else { "invalid_token" };
    let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    let description: Cow<'_, str> = if refusal.message.chars().all(plain) {
        Cow::Borrowed(&refusal.message)
    } else {
        refusal.message.chars().map(|c| if plain(c) { c } else { '\'' }).collect()
    };
    format!("Bearer error=\"{error}\", error_description=\"{description}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::{Timestamp, refusal::LimitMet};
    use std::time::Duration;

    fn answer(refusal: &Refusal) -> (Response<Vec<u8>>, serde_json::Value) {
        let response = response(refusal, RequestId::new(uuid::Uuid::from_u128(7)));
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
    }

    fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn an_expired_token_is_told_as_the_contract_says() {
        let (response, body) = answer(&Refusal::expired(Timestamp::from_seconds(1_767_225_600)));
        assert_eq!(response.status(), 401);
        let challenge = header(&response, "www-authenticate");
        assert_eq!(
            challenge,
            "Bearer error=\"invalid_token\", error_description=\"the token expired at 2026-01-01T00:00:00.000Z\""
        );
        assert_eq!(body["error"]["code"], "TOKEN_EXPIRED");
        assert_eq!(body["error"]["then"], "refresh");
        assert_eq!(body["error"]["requestId"], "00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn a_limit_is_told_in_headers() {
        let met = LimitMet { limit: 20, period: Some(Duration::from_secs(1)) };
        let (response, _) =
            answer(&Refusal::plain(Code::RateLimited).retry_after(Duration::from_millis(1200)).limit(met));
        assert_eq!(response.status(), 429);
        assert_eq!(header(&response, "retry-after"), "2");
        assert_eq!(header(&response, "x-ratelimit-limit"), "20");
        assert_eq!(header(&response, "x-ratelimit-remaining"), "0");
        assert_eq!(header(&response, "x-ratelimit-period"), "1");
        let (response, body) = answer(&Refusal::plain(Code::AuthError));
        assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "1"));
        assert_eq!(body["error"]["retryAfter"], 1);
    }

    #[test]
    fn a_challenge_has_no_quotes_of_its_own() {
        let refusal = Refusal::invalid_token(Detail::Issuer, "issuer \"a\\b\u{e9}\n\" is not wanted");
        let (response, body) = answer(&refusal);
        let challenge = header(&response, "www-authenticate");
        assert_eq!(challenge, "Bearer error=\"invalid_token\", error_description=\"issuer 'a'b''' is not wanted\"");
        assert_eq!(body["error"]["detail"], "issuer");
        let (response, _) = answer(&Refusal::plain(Code::AuthRequired));
        assert!(header(&response, "www-authenticate").contains("invalid_request"));
    }

    #[test]
    fn every_code_has_an_answer() {
        for code in Code::ALL {
            let (response, body) = answer(&Refusal::plain(*code));
            assert_eq!(response.status().as_u16(), code.http_status().unwrap_or(500));
            assert_eq!(body["error"]["code"], code.name());
            assert!(serde_json::to_value(ErrorPayload::of(&Refusal::plain(*code))).unwrap()["message"].is_string());
        }
        let (response, _) = answer(&Refusal::plain(Code::UpgradeRequired));
        assert_eq!((header(&response, "upgrade"), header(&response, "sec-websocket-version")), ("websocket", "13"));
    }
}
