//! `gateway serve`: what happens without a command.

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use gateway_domain::RequestId;
use gateway_server::{
    House,
    audit::{Event, Subject},
    clock,
    helm::Helm,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Environment, Failure, Where};
use crate::{
    carry, compose,
    config::{self, DEFAULT_FILE, Loaded, Mode, Place, Secrets, Sources},
    dev, fetch,
    logging::{self, Log},
    sockets::Sockets,
    steer::{Files, Steersman},
};

/// Run the gateway.
#[derive(Debug, Default, Args)]
pub struct Serve {
    #[command(flatten)]
    place: Where,
    /// Run with keys made up for this run, on this machine only. So it runs where no configuration is given at all.
    #[arg(long)]
    dev: bool,
    /// The address to listen on; the same as --set server.listen=ADDRESS.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn run(self, mut environment: Environment) -> Result<(), Failure> {
        let mode = self.mode(&environment)?;
        if mode == Mode::Dev {
            dev::draw(&mut environment)?;
        }
        let listen = self.listen.map(|address| ("server.listen".to_owned(), address));
        let overrides = self.place.set.into_iter().chain(listen).collect();
        let sources = Sources { file: self.place.config, env: environment.clone(), overrides, mode };
        let loaded = config::load(sources.clone()).map_err(|faults| Failure::Configuration(faults.to_string()))?;
        let files = Files::of(&loaded);
        let secrets = loaded.resolve(&environment).map_err(|faults| Failure::Configuration(faults.to_string()))?;
        compose::usable(&loaded, &secrets).map_err(|faults| Failure::Configuration(faults.to_string()))?;
        let log = logging::begin(&loaded.config.server);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(loaded, secrets, sources, (files, log)))?;
        Ok(())
    }

    /// Dev mode where it is asked for, or where nothing is configured and somebody is there to see it; a container
    /// without a configuration stops and says what it lacks.
    fn mode(&self, environment: &Environment) -> Result<Mode, Failure> {
        if self.dev {
            return Ok(Mode::Dev);
        }
        let configured = self.place.config.is_some()
            || std::path::Path::new(DEFAULT_FILE).exists()
            || environment.iter().any(|(name, _)| name.starts_with("GATEWAY__"));
        if configured {
            return Ok(Mode::Serve);
        }
        if is_container(environment) {
            return Err(Failure::Configuration(
                "gateway: this is a container and there is no configuration in it.\n  \
                 Mount one and name it: gateway serve --config /etc/gateway/gateway.toml\n  \
                 `gateway config reference` prints every key, with an example file at its end."
                    .into(),
            ));
        }
        Ok(Mode::Dev)
    }
}

/// A container's engine leaves a mark, or its image says so.
fn is_container(environment: &Environment) -> bool {
    environment.iter().any(|(name, value)| {
        (name == "GATEWAY_CONTAINER" && value == "1") || name == "KUBERNETES_SERVICE_HOST" || name == "container"
    })
}

async fn serve(loaded: Loaded, secrets: Secrets, sources: Sources, (files, log): (Files, Log)) -> anyhow::Result<()> {
    let mode = sources.mode;
    let hangup = signal(SignalKind::hangup()).context("the signals of the system cannot be heard")?;
    let signals = Signals::hear().context("the signals of the system cannot be heard")?;
    let open_files = compose::open_files();
    let link = compose::link(&loaded, &secrets).await?;
    let (fetch, carry) = (fetch::fetch()?, carry::carry()?);
    let house = compose::linked_house(&loaded, &secrets, mode, open_files, fetch, &carry, link)?;
    let shutdown = CancellationToken::new();
    let (helm, wishes) = Helm::new(shutdown.clone(), compose::drain(&loaded.config.server));
    let sockets = Sockets::handed_over(&sources.env)?;
    let gateway = compose::gateway(&loaded, &secrets, house, &helm, sockets)?;
    let addresses: Vec<String> = gateway
        .openings
        .iter()
        .map(|opening| opening.listener.local_addr().map(|address| address.to_string()))
        .collect::<Result<_, _>>()?;
    say(&loaded, &sources.env, &secrets, mode, &addresses, open_files)?;
    let reason = format!("listening on {}", addresses.join(" and "));
    let start = Subject::new(RequestId::new(uuid::Uuid::new_v4()));
    gateway.house.audit.event(Event::Gateway, &start, reason, clock::now());
    let house = Arc::clone(&gateway.house);
    let steersman = Steersman { sources, house, loaded, secrets, files, log };
    let steering = tokio::spawn(steersman.steer(wishes, hangup));
    tokio::spawn(signals.stop(helm, Arc::clone(&gateway.house), gateway.hurry.clone()));
    gateway.run(shutdown).await;
    steering.abort();
    Ok(())
}

/// What an operator should read when the gateway starts.
fn say(
    loaded: &Loaded,
    environment: &Environment,
    secrets: &Secrets,
    mode: Mode,
    addresses: &[String],
    open_files: u64,
) -> anyhow::Result<()> {
    // What dev mode has by design is in its banner, and nobody's fault.
    for warning in loaded.warnings.iter().filter(|warning| mode != Mode::Dev || warning.place != Place::Shipped) {
        tracing::warn!("{warning}");
    }
    let connections = loaded.config.limits.connections.in_force(open_files);
    let connections = connections.map_or_else(|| "off".into(), |most| most.to_string());
    tracing::info!(open_files, connections, "at most so many connections");
    for (address, what) in addresses.iter().zip(["clients", "operators"]) {
        tracing::info!(address, "listening for {what}");
    }
    if mode == Mode::Dev {
        let address = addresses.first().context("no listener")?;
        let banner = dev::banner(loaded, secrets, environment, address, clock::now())?;
        let mut out = std::io::stdout().lock();
        // Nobody reads it: the gateway serves all the same.
        let _ = out.write_all(banner.as_bytes()).and_then(|()| out.flush());
    }
    Ok(())
}

/// Heard from the moment that anybody may know of us: a signal that comes earlier would end the process as it stands.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn hear() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The first lets the node leave, a second ends it at once.
    async fn stop(mut self, helm: Helm, house: Arc<House>, hurry: CancellationToken) {
        let signal = self.next().await;
        if helm.leave() {
            let subject = Subject::new(RequestId::new(uuid::Uuid::new_v4()));
            house.audit.event(Event::Drain, &subject, format!("by {signal}"), clock::now());
        }
        self.next().await;
        hurry.cancel();
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
