//! `gateway token mint`: a token signed with a key of the configuration, in the form that this configuration takes.

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use gateway_auth::{Grant, KeyFault};
use gateway_domain::{AgentId, PlanName, Role, UserId, name::Permission};
use gateway_server::clock;

use crate::{
    cli::{Environment, Failure, Where, config::demanded, page},
    compose,
    config::{
        Auth, Config, Key, Secrets,
        value::{AgentSource, Period, Scalar, Value as _},
    },
};

/// Sign a token with a key of the configuration, and print it alone.
#[derive(Debug, Args)]
pub(in crate::cli) struct Mint {
    /// Whom it speaks for.
    #[arg(long, value_name = "NAME")]
    user: UserId,
    /// What the user is; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// What the user may do; may be repeated.
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<Permission>,
    /// Which plan limits the user.
    #[arg(long)]
    plan: Option<PlanName>,
    /// The agent that it is, where that is not the user.
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// How long it is good for [default: auth.issuer.access_ttl, else 15m].
    #[arg(long, value_name = "DURATION", value_parser = period)]
    ttl: Option<Period>,
    /// The kid of the key that signs [default: auth.issuer.key, else the only key that can].
    #[arg(long, value_name = "KID")]
    key: Option<String>,
    #[command(flatten)]
    place: Where,
}

pub(in crate::cli) fn period(text: &str) -> Result<Period, crate::config::value::Unfit> {
    Period::read(Scalar::Text(text))
}

impl Mint {
    pub(in crate::cli) fn run(self, environment: &Environment) -> Result<(), Failure> {
        let without = "The keys of dev mode live in the running process alone: its banner has tokens to paste. \
                       For keys of your own: gateway config reference";
        let (loaded, secrets) = demanded(self.place.clone(), environment, without)?;
        let token = self.signed(&loaded.config, &secrets)?;
        Ok(page::print(&format!("{}\n", token.expose()))?)
    }

    fn signed(self, config: &Config, secrets: &Secrets) -> Result<gateway_domain::Token> {
        let auth = &config.auth;
        let kid = self.key.as_deref().or(auth.issuer.as_ref().map(|issuer| issuer.key.as_str()));
        let key = signer(auth, kid)?;
        if let Some(role) = self.roles.iter().find(|role| !key.grants(role)) {
            bail!("the key may not grant the role `{role}`: see its `roles` in the configuration");
        }
        if let Some(agent) = &self.agent {
            says_agent(auth, agent, &self.user)?;
        }
        if let Some(plan) = self.plan.as_ref().filter(|plan| !config.plans.contains_key(*plan)) {
            page::remark(&format!("No plan is called `{plan}`: `default` will hold instead."));
        }
        let (key, issued_as) = compose::signing_key(auth, secrets, kid)?;
        let issuer = compose::issuer(auth, key, issued_as)?;
        let ttl = self.ttl.map_or_else(|| issuer.access_ttl(), Period::get);
        let Self { user, roles, permissions, plan, agent, .. } = self;
        let minted = issuer.mint_for(&Grant { user, roles, permissions, plan, agent }, ttl, clock::now());
        minted.map(|minted| minted.token).map_err(|fault: KeyFault| anyhow!("the token cannot be made: {fault}"))
    }
}

/// The key that is meant: the one of that name, or the only one that can sign.
fn signer<'a>(auth: &'a Auth, kid: Option<&str>) -> Result<&'a Key> {
    let able: Vec<_> = auth.keys.iter().filter(|key| key.can_sign()).collect();
    ensure!(
        !able.is_empty(),
        "no key of the configuration can sign: one needs secret_file, secret_env, or a private_key_file beside its public_key_file"
    );
    let name = |key: &Key| key.kid.as_ref().map_or_else(|| "one without a kid".to_owned(), ToString::to_string);
    let names = able.iter().map(|key| name(key)).collect::<Vec<_>>().join(", ");
    match (kid, able.as_slice()) {
        (Some(kid), able) => {
            let named = able.iter().find(|key| key.kid.as_ref().is_some_and(|own| own.as_str() == kid));
            named.copied().ok_or_else(|| anyhow!("no key that can sign is called `{kid}`; there are: {names}"))
        }
        (None, [only]) => Ok(only),
        (None, _) => bail!("several keys can sign ({names}): name one with --key KID"),
    }
}

/// Whether a token of this configuration can tell an agent from its user.
fn says_agent(auth: &Auth, agent: &AgentId, user: &UserId) -> Result<()> {
    match &auth.claims.agent {
        AgentSource::Query(name) => {
            bail!("an agent is named by the query parameter `{name}` here, never by a token: leave --agent out")
        }
        AgentSource::Claim(paths) => {
            let same = paths.iter().next() == auth.claims.user.iter().next();
            ensure!(
                !same || agent.as_str() == user.as_str(),
                "auth.claims.agent is the claim of the user: the agent is called as the user is; leave --agent out"
            );
            Ok(())
        }
    }
}
