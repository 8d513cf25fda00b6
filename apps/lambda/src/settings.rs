//! What the place says where the function runs: by the environment, which the template sets. What the gateway itself should
//! do is in its configuration, the same file that the gateway reads.

use std::{path::PathBuf, time::Duration};

/// What the place says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The table with the connections.
    pub table: String,
    /// The address of the management API, with `{stage}` where the stage belongs.
    pub management: String,
    /// Another address of DynamoDB than the region's own.
    pub dynamodb: Option<String>,
    /// The region.
    pub region: String,
    /// Who this is to AWS.
    pub identity: Identity,
    /// Which stage leads to which endpoint, where their names do not say so.
    pub doors: Vec<(String, String)>,
    /// A seat that was taken less than this ago may belong to a handshake under way: it counts, whatever the management API
    /// says of it.
    pub seat_grace: Duration,
    /// The configuration of the gateway.
    pub config: PathBuf,
}

/// The keys that AWS gives to a function.
#[derive(Clone)]
pub struct Identity {
    /// Its name.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// What proves that they are lent.
    pub session: Option<String>,
}

/// What is wrong with the environment.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {what}. {remedy}")]
pub struct SettingFault {
    /// Which variable.
    pub name: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

const TABLE: &str = "GATEWAY_LAMBDA_TABLE";
const MANAGEMENT: &str = "GATEWAY_LAMBDA_MANAGEMENT";
const DYNAMODB: &str = "GATEWAY_LAMBDA_DYNAMODB";
const DOORS: &str = "GATEWAY_LAMBDA_DOORS";
const SEAT_GRACE: &str = "GATEWAY_LAMBDA_SEAT_GRACE_SECONDS";
const CONFIG: &str = "GATEWAY_CONFIG";
/// Longer than API Gateway waits for the answer to `$connect`.
const USUAL_GRACE: Duration = Duration::from_secs(30);

impl Settings {
    /// Reads the environment that is handed in.
    pub fn read(env: &[(String, String)]) -> Result<Self, SettingFault> {
        let find = |wanted: &str| {
            let found = env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
            found.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let demand = |name: &'static str, remedy: &'static str| {
            find(name).ok_or(SettingFault { name, what: "is not set".into(), remedy })
        };
        let platform = "The function's own environment has it; elsewhere, set it to a value of your own";
        let management =
            demand(MANAGEMENT, "Write https://API-ID.execute-api.REGION.amazonaws.com/{stage}, as the template does")?;
        if !(management.starts_with("https://") || management.starts_with("http://")) {
            let what = format!("`{management}` is no address");
            return Err(SettingFault { name: MANAGEMENT, what, remedy: "Write https://HOST/{stage}" });
        }
        let seat_grace = match find(SEAT_GRACE) {
            None => USUAL_GRACE,
            Some(text) => text.parse().map(Duration::from_secs).map_err(|_| SettingFault {
                name: SEAT_GRACE,
                what: format!("`{text}` is no number of seconds"),
                remedy: "Write a whole number, such as 30",
            })?,
        };
        let root = find("LAMBDA_TASK_ROOT").unwrap_or_default();
        Ok(Self {
            table: demand(TABLE, "Write the name of the DynamoDB table, as the template does")?,
            management: management.trim_end_matches('/').to_owned(),
            dynamodb: find(DYNAMODB),
            region: demand("AWS_REGION", platform)?,
            identity: Identity {
                key_id: demand("AWS_ACCESS_KEY_ID", platform)?,
                secret: demand("AWS_SECRET_ACCESS_KEY", platform)?,
                session: find("AWS_SESSION_TOKEN"),
            },
            doors: doors(&find(DOORS).unwrap_or_default())?,
            seat_grace,
            config: PathBuf::from(root).join(find(CONFIG).unwrap_or_else(|| "gateway.toml".into())),
        })
    }
}

/// Pairs such as `agents=/ws/agent`.
fn doors(text: &str) -> Result<Vec<(String, String)>, SettingFault> {
    let pairs = text.split_whitespace().map(|pair| match pair.split_once('=') {
        Some((stage, path)) if !stage.is_empty() && path.starts_with('/') => Ok((stage.to_owned(), path.to_owned())),
        _ => Err(SettingFault {
            name: DOORS,
            what: format!("`{pair}` is no stage with its endpoint"),
            remedy: "Write STAGE=/path/of/endpoint, with spaces between several",
        }),
    });
    pairs.collect()
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("GATEWAY_LAMBDA_TABLE", "gateway"),
            ("GATEWAY_LAMBDA_MANAGEMENT", "https://api.example/{stage}/"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "do not tell"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
        ];
        let all = more.iter().chain(usual.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)));
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_the_template_sets_is_enough() {
        let settings = Settings::read(&env(&[])).unwrap();
        assert_eq!(settings.management, "https://api.example/{stage}");
        assert_eq!(settings.config, PathBuf::from("/var/task/gateway.toml"));
        assert_eq!(settings.seat_grace, USUAL_GRACE);
        assert!(!format!("{settings:?}").contains("do not tell"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_remedy() {
        for (name, value) in [
            ("GATEWAY_LAMBDA_TABLE", ""),
            ("GATEWAY_LAMBDA_MANAGEMENT", "api.example"),
            ("GATEWAY_LAMBDA_DOORS", "agents"),
            ("GATEWAY_LAMBDA_DOORS", "agents=ws"),
            ("GATEWAY_LAMBDA_SEAT_GRACE_SECONDS", "soon"),
            ("AWS_REGION", ""),
        ] {
            let fault = Settings::read(&env(&[(name, value)])).unwrap_err();
            assert_eq!(fault.name, name);
            assert!(!fault.remedy.is_empty());
        }
        let settings = Settings::read(&env(&[("GATEWAY_LAMBDA_DOORS", "agents=/ws/agent  prod=/ws")])).unwrap();
        assert_eq!(settings.doors.len(), 2);
    }
}
