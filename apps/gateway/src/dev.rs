//! Dev mode: a gateway to try things out with, where no configuration is given. A secret of this run, this machine
//! only, and one loud banner with tokens and commands to paste.

use std::{fmt::Write, time::Duration};

use anyhow::Result;
use gateway_auth::{Grant, api_key};
use gateway_domain::{AgentId, Now, Token, UserId};

use crate::{
    cli::Environment,
    compose,
    config::{DEV_API_KEY, DEV_SECRET, Loaded, Secrets},
};

/// How the commands of the banner begin where cargo runs this.
const BY_CARGO: &str = "cargo run -q -p gateway --";
/// How long the tokens of the banner last.
const TOKEN_LIFE: Duration = Duration::from_secs(8 * 3600);

/// Draws the secrets of this run and puts them where the configuration of dev mode looks.
pub fn draw(environment: &mut Environment) -> Result<()> {
    environment.retain(|(name, _)| name != DEV_SECRET && name != DEV_API_KEY);
    let secret = gateway_auth::generate(gateway_auth::Algorithm::Hs256)?.private;
    environment.push((DEV_SECRET.into(), secret));
    environment.push((DEV_API_KEY.into(), api_key::generate()?.expose().to_owned()));
    Ok(())
}

/// The banner.
pub fn banner(
    loaded: &Loaded,
    secrets: &Secrets,
    environment: &Environment,
    address: &str,
    now: Now,
) -> Result<String> {
    let (key, issuer) = compose::signing_key(&loaded.config.auth, secrets, None)?;
    let issuer = compose::issuer(&loaded.config.auth, key, issuer)?;
    let token = |user: &str, role: &str| -> Result<Token> {
        let grant = Grant {
            user: UserId::parse(user)?,
            roles: vec![role.parse()?],
            permissions: Vec::new(),
            plan: None,
            agent: (role == "agent").then(|| AgentId::parse(user)).transpose()?,
        };
        Ok(issuer.mint_for(&grant, TOKEN_LIFE, now)?.token)
    };
    let api_key = environment.iter().find(|(name, _)| name == DEV_API_KEY).map_or("", |(_, key)| key);
    let mut text = String::new();
    let rule = "=".repeat(78);
    writeln!(text, "{rule}")?;
    writeln!(text, "  DEV MODE: keys made up for this run, this machine only. NOT for production.")?;
    writeln!(text, "  Bans and revocations are kept in memory. For a real one: docs/operations.md, \"Five minutes\"")?;
    writeln!(text, "{rule}")?;
    writeln!(text, "Tokens, good for 8 hours or until this process ends:\n")?;
    for (user, role) in [("agent-1", "agent"), ("ann", "dashboard"), ("root", "admin")] {
        writeln!(text, "export {}_TOKEN={}", role.to_uppercase(), token(user, role)?.expose())?;
    }
    writeln!(text, "export API_KEY={api_key}\n")?;
    writeln!(text, "Paste those lines into another shell, then try:\n")?;
    writeln!(text, "  curl http://{address}/healthz")?;
    writeln!(
        text,
        "  GATEWAY_TOKEN=$DASHBOARD_TOKEN cargo run -q -p gateway -- connect ws://{address}/ws/dashboard --send '{{\"type\":\"ping\",\"id\":\"1\"}}' --for 2s"
    )?;
    writeln!(text, "  GATEWAY_TOKEN=$AGENT_TOKEN cargo run -q -p gateway -- connect ws://{address}/ws/agent --for 2s")?;
    writeln!(text, "  curl -H \"Authorization: Bearer $ADMIN_TOKEN\" http://{address}/api/v1/connections")?;
    writeln!(text, "  curl -X POST -H \"X-API-Key: $API_KEY\" http://{address}/auth/token\n")?;
    writeln!(text, "The console, for a browser of this machine; paste ADMIN_TOKEN there: http://{address}/console\n")?;
    writeln!(text, "A refusal is worth a look, too; its requestId is what `explain` takes:\n")?;
    writeln!(
        text,
        "  GATEWAY_TOKEN=$DASHBOARD_TOKEN cargo run -q -p gateway -- connect ws://{address}/ws/agent --for 2s"
    )?;
    writeln!(text, "{rule}")?;
    Ok(if is_of_cargo(environment) { text } else { text.replace(BY_CARGO, &called()) })
}

/// Whether cargo runs this, and not somebody who has the program alone.
fn is_of_cargo(environment: &Environment) -> bool {
    environment.iter().any(|(name, _)| name == "CARGO_MANIFEST_DIR")
}

/// The program as it was called, so that it can be called again from where it was.
fn called() -> String {
    std::env::args().next().unwrap_or_else(|| "gateway".into())
}
