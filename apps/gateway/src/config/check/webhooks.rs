//! The sense of webhooks: names of their own, one secret each, times that fit.

use gateway_server::webhook::LONGEST_TIMEOUT;

use super::{
    super::{Config, Webhook, shape::nearest},
    Complaints, repeated,
};

/// More requests at once than this help nobody.
const MOST_AT_ONCE: u32 = 256;

pub(super) fn check(config: &Config, complaints: &mut Complaints) {
    let names: Vec<_> = config.webhooks.iter().map(|hook| &hook.name).collect();
    for (again, first) in repeated(&names) {
        let what = format!("webhooks[{first}] has this name, too");
        complaints.fault(format!("webhooks[{again}].name"), what, "Give each webhook a name of its own");
    }
    for (at, hook) in config.webhooks.iter().enumerate() {
        let line = format!("webhooks[{at}]");
        secrets(hook, &line, complaints);
        bounds(hook, &line, complaints);
        endpoints(config, hook, &line, complaints);
    }
}

fn secrets(hook: &Webhook, line: &str, complaints: &mut Complaints) {
    match (&hook.secret_file, &hook.secret_env) {
        (Some(_), Some(_)) => {
            let what = "this webhook has secret_file and secret_env";
            complaints.fault(format!("{line}.secret_env"), what, "Keep one of them");
        }
        (None, None) => complaints.fault(
            line,
            "this webhook has no secret, so that its receiver could not tell who asks",
            "Add secret_file = \"hook.txt\", and create the file with: gateway keys generate --algorithm HS256 > hook.txt",
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
    if hook.previous_secret_file.is_some() && hook.previous_secret_env.is_some() {
        let what = "this webhook has previous_secret_file and previous_secret_env";
        complaints.fault(format!("{line}.previous_secret_env"), what, "Keep one of them");
    }
}

fn bounds(hook: &Webhook, line: &str, complaints: &mut Complaints) {
    if hook.events.is_empty() {
        let what = "this webhook is told nothing";
        complaints.fault(
            format!("{line}.events"),
            what,
            "Name at least one of \"connect\", \"disconnect\" and \"message\", or remove the webhook",
        );
    }
    for (again, _) in repeated(&hook.events) {
        complaints.warn(format!("{line}.events[{again}]"), "this event is listed twice", "Remove one");
    }
    if hook.timeout.get() > LONGEST_TIMEOUT {
        let what = format!("three attempts of {} do not fit into half a minute", hook.timeout);
        complaints.fault(format!("{line}.timeout"), what, "Write at most \"8s\"");
    }
    if hook.at_once.get() > MOST_AT_ONCE {
        let what = format!("{} requests at once would run the receiver over", hook.at_once);
        complaints.fault(format!("{line}.at_once"), what, format!("Write at most {MOST_AT_ONCE}"));
    }
}

fn endpoints(config: &Config, hook: &Webhook, line: &str, complaints: &mut Complaints) {
    let known = || config.endpoints.iter().map(|endpoint| endpoint.path.as_str());
    for (at, path) in hook.endpoints.iter().enumerate() {
        if !known().any(|own| own == path.as_str()) {
            let remedy = match nearest(path.as_str(), known()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Name one of {}", known().collect::<Vec<_>>().join(", ")),
            };
            complaints.fault(format!("{line}.endpoints[{at}]"), format!("there is no endpoint `{path}`"), remedy);
        }
    }
    for (again, _) in repeated(&hook.endpoints) {
        complaints.warn(format!("{line}.endpoints[{again}]"), "this endpoint is listed twice", "Remove one");
    }
}
