//! A line of the audit, read back and told to people. What it does not have is left out; what it has besides is not
//! looked at, so that a newer gateway's file can be read.

use gateway_domain::{Code, remedy::remedy};
use gateway_server::gate::Check;
use serde::Deserialize;

use crate::cli::{
    corridor::{self, Outcome},
    page::Page,
};

/// A line of the audit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    time: String,
    event: String,
    code: Option<String>,
    detail: Option<String>,
    reason: Option<String>,
    pub(super) request_id: String,
    user_id: Option<String>,
    agent_id: Option<String>,
    ip: Option<String>,
    endpoint: Option<String>,
    user_agent: Option<String>,
    connection_id: Option<String>,
    count: Option<u64>,
    until: Option<String>,
}

impl Record {
    /// Tells it.
    pub(super) fn write(&self, page: &mut Page) {
        page.row("when", &self.time);
        if let Some(count) = self.count.filter(|count| *count > 1) {
            let until = self.until.as_deref().unwrap_or("now");
            page.row("how often", format_args!("{count} of this kind, the last at {until}, told in one line"));
        }
        page.row("what", &self.event);
        match (&self.user_id, &self.agent_id) {
            (Some(user), Some(agent)) if agent != user => page.row("who", format_args!("{user}, agent {agent}")),
            (Some(user), _) => page.row("who", user),
            (None, _) => page.row("who", "not known: no token was verified"),
        }
        page.row_of("where from", self.ip.as_ref());
        page.row_of("client", self.user_agent.as_ref());
        page.row_of("door", self.endpoint.as_ref());
        page.row_of("connection", self.connection_id.as_ref());
        let code = self.code.as_deref().and_then(Code::by_name);
        match code {
            Some(code) => page.row("code", in_full(code)),
            None => page.row_of("code", self.code.as_ref()),
        }
        page.row_of("detail", self.detail.as_ref());
        page.row_of("reason", self.reason.as_ref());
        let Some(code) = code else { return };
        if self.event == "refused"
            && let Some(deciding) = Check::behind(code, self.user_id.is_some())
        {
            corridor::write(page, |check| Outcome::of(check, Some(deciding)));
        }
        let remedy = remedy(code);
        page.row("the client", remedy.client);
        page.row("you", remedy.operator);
    }
}

/// A code with its numbers on the wires.
pub(in crate::cli) fn in_full(code: Code) -> String {
    let http = code.http_status().map(|status| format!("HTTP {status}"));
    let close = code.close_code().map(|close| format!("close {close}"));
    let numbers: Vec<_> = http.into_iter().chain(close).collect();
    if numbers.is_empty() { code.name().to_owned() } else { format!("{} ({})", code.name(), numbers.join(", ")) }
}
