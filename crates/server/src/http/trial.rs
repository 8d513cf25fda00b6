//! Tokens for trying things out, for anybody whom an administrator names. In dev mode alone: there its secret is made up for
//! the run, and its tokens open nothing anywhere else.

use gateway_auth::Grant;
use gateway_domain::{AgentId, Code, Permission, PlanName, Refusal, Role, Timestamp, Token, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Call, MAX_BODY, Site,
    answer::{Answer, BodyStream, fault, json, read},
    caller::{Caller, Need},
    operation::{Access, Body, Content, Declared, Topic, Verb, shape},
};
use crate::{
    audit::{Event, Subject},
    clock, words,
};

pub(super) const MINT: Declared = Declared {
    id: "mintTrialToken",
    verb: Verb::Post,
    path: "/api/v1/trial-tokens",
    topic: Topic::Tokens,
    summary: "A token for whomever you name, to try things out: in dev mode only",
    more: "Anywhere else: NOT_FOUND. The token lives as long as those of API keys, and there is none to renew it by.",
    access: Access::Caller(Need::Admin),
    parameters: &[],
    body: Some(Body {
        shape: shape::<Order>,
        required: true,
        most_bytes: MAX_BODY,
        examples: &[("dashboard", r#"{"user": "ann", "roles": ["dashboard"]}"#)],
    }),
    answers: &[Content::json(shape::<Made>, r#"{"token": "a JWT", "expiresAt": "2030-01-01T00:15:00.000Z"}"#)],
    also: None,
    refusals: &[Code::InvalidRequest, Code::NotFound, Code::AuthError],
};

const MOST_WORDS: usize = 32;

/// Whom it speaks for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrialTokenOrder")]
struct Order {
    #[schemars(with = "words::User")]
    user: UserId,
    /// What it may be.
    #[serde(default)]
    #[schemars(with = "Vec<words::Role>", length(max = MOST_WORDS))]
    roles: Vec<Role>,
    /// What it may do.
    #[serde(default)]
    #[schemars(with = "Vec<words::Permission>", length(max = MOST_WORDS))]
    permissions: Vec<Permission>,
    /// With which limits.
    #[schemars(with = "Option<words::Plan>")]
    plan: Option<PlanName>,
    /// Which agent it is; the user's own name where that is what names agents.
    #[schemars(with = "Option<words::Agent>")]
    agent: Option<AgentId>,
}

/// A token that was made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TrialToken")]
struct Made {
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String")]
    token: Token,
    /// When it ends.
    #[schemars(with = "words::Time")]
    expires_at: Timestamp,
}

fn exposed<S: serde::Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

/// Makes one.
pub(super) async fn mint(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let issuing = site.house.issuing.as_ref().filter(|_| site.house.dev).ok_or_else(|| {
        Refusal::new(
            Code::NotFound,
            "tokens for trying out are made in dev mode only: mint one with `gateway token mint`",
        )
    })?;
    let Order { user, roles, permissions, plan, agent } = read(&call.headers, body, site.max_body, None).await?;
    if roles.len() > MOST_WORDS || permissions.len() > MOST_WORDS {
        return Err(fault("roles", format!("at most {MOST_WORDS} roles, and as many permissions")));
    }
    let now = clock::now();
    let minted = issuing.mint(&Grant { user, roles, permissions, plan, agent }, now)?;
    let subject = Subject { user: Some(&caller.user), ..call.subject() };
    site.house.audit.event(Event::TokenIssued, &subject, format!("for trying out, by {}", caller.user), now);
    json(&Made { token: minted.token, expires_at: minted.expires_at })
}
