//! Reads the environment, once and only here, opens the front, and answers calls for as long as the service wants.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use gateway_lambda::{after::Afterwards, front::Front, settings::Settings};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde_json::{Value, value::RawValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("gateway-lambda: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the only reader of the environment")]
async fn run() -> Result<()> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment: Vec<_> = environment.collect();
    let settings = Settings::read(&environment)?;
    let front = Arc::new(Front::open(&settings, environment)?);
    front.look_after_keys().await;
    let answers = Arc::clone(&front);
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let front = Arc::clone(&answers);
        async move { Ok::<Value, lambda_runtime::Error>(front.answer(event.payload).await) }
    });
    Runtime::new(handler).layer(Afterwards(front)).run().await.map_err(|error| anyhow::anyhow!(error))
}

#[allow(clippy::print_stderr, reason = "the last words of the program")]
fn complain(what: &str) {
    eprintln!("{what}");
}
