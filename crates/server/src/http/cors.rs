//! Which pages may call the API. Credentials are in headers, so a page of another origin always asks first.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use warp::reply::Response;

use super::{Call, Site, answer::Answer};

impl Site {
    /// Answers the question of a browser whether a page may call.
    pub(super) fn preflight(&self, call: &Call) -> Answer {
        self.house.api_origins.admits(&call.headers, call.info.secure)?;
        let mut response = Response::new(Vec::new().into());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, idempotency-key, traceparent, x-api-key"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Ok(response)
    }

    /// Lets the page of an allowed origin read the answer.
    pub(super) fn allow_origin(&self, call: &Call, headers: &mut HeaderMap) {
        let Some(origin) = call.headers.get(header::ORIGIN) else { return };
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if self.house.api_origins.admits(&call.headers, call.info.secure).is_ok() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(
                    "retry-after, traceparent, www-authenticate, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-period",
                ),
            );
        }
    }
}
