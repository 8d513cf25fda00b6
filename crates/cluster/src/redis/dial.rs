//! Connecting: which server is the master, and a connection with it that ends when it is let go.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, Value,
    aio::{AsyncPushSender, MultiplexedConnection},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    fault::Fault,
    reply,
    settings::{Address, Sentinel, Servers, Settings, Tls},
};

/// Connects by the settings.
#[derive(Clone)]
pub(crate) struct Dial {
    settings: Arc<Settings>,
    tls: Option<TlsConnector>,
}

impl Dial {
    /// Makes ready; reads the certificates, where TLS is asked for.
    pub(crate) fn new(settings: Arc<Settings>) -> Result<Self, Fault> {
        let tls = settings.tls.as_ref().map(connector).transpose()?;
        Ok(Self { settings, tls })
    }

    /// Where the master is. Of several addresses, it is the first that answers and is one.
    pub(crate) async fn master(&self) -> Result<Address, Fault> {
        match &self.settings.servers {
            Servers::At(addresses) => self.first_master(addresses).await,
            Servers::Behind(sentinel) => self.elected_master(sentinel).await,
        }
    }

    /// A connection with that server. What it says unasked goes to `heard`.
    pub(crate) async fn connect(
        &self,
        address: &Address,
        heard: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Wire, Fault> {
        let settings = &self.settings;
        let login = redis_login(settings.username.as_deref(), settings.password.as_ref(), settings.database);
        self.connect_as(address, login, heard).await
    }

    /// Asks all Sentinels at once. What most of all say is so; where some are silent, what most of the others say.
    async fn elected_master(&self, sentinel: &Sentinel) -> Result<Address, Fault> {
        let unknown = |reason: String| Fault::NoMaster { master: sentinel.master.clone(), reason };
        let mut asked = JoinSet::new();
        for node in &sentinel.nodes {
            let (dial, node, sentinel) = (self.clone(), node.clone(), sentinel.clone());
            asked.spawn(async move { dial.ask_sentinel(&node, &sentinel).await });
        }
        let mut named: Vec<(Address, usize)> = Vec::new();
        let mut last = unknown("none is named".to_owned());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(address)) => match named.iter_mut().find(|(other, _)| *other == address) {
                    Some((_, votes)) => *votes += 1,
                    None => named.push((address, 1)),
                },
                Ok(Err(Fault::Credentials { server, said })) => last = Fault::SentinelCredentials { server, said },
                Ok(Err(fault @ Fault::Tls { .. })) => last = fault,
                Ok(Err(fault)) => last = unknown(fault.to_string()),
                Err(_) => {}
            }
            if let Some((address, _)) = named.iter().find(|(_, votes)| votes * 2 > sentinel.nodes.len()) {
                return Ok(address.clone());
            }
        }
        named.into_iter().max_by_key(|(_, votes)| *votes).map(|(address, _)| address).ok_or(last)
    }

    async fn ask_sentinel(&self, node: &Address, sentinel: &Sentinel) -> Result<Address, Fault> {
        let login = redis_login(sentinel.username.as_deref(), sentinel.password.as_ref(), 0);
        let mut ask = redis::pipe();
        ask.cmd("SENTINEL").arg("get-master-addr-by-name").arg(&sentinel.master);
        let answers = self.connect_as(node, login, None).await?.run(&ask).await?;
        let words: Vec<&str> = answers.first().map(reply::texts).into_iter().flatten().collect();
        let address = match words.as_slice() {
            [host, port] => port.parse().ok().map(|port| Address { host: (*host).to_owned(), port }),
            _ => None,
        };
        address.ok_or_else(|| Fault::Said { said: format!("{node} knows nobody of that name") })
    }

    async fn first_master(&self, addresses: &[Address]) -> Result<Address, Fault> {
        if let [only] = addresses {
            return Ok(only.clone());
        }
        let mut last = Fault::Unreachable { server: "no address".to_owned(), reason: "none is named".to_owned() };
        for address in addresses {
            let mut ask = redis::pipe();
            ask.cmd("INFO").arg("replication");
            match async { self.connect(address, None).await?.run(&ask).await }.await {
                Ok(answers)
                    if answers.first().and_then(reply::text).is_some_and(|info| info.contains("role:master")) =>
                {
                    return Ok(address.clone());
                }
                Ok(_) => last = Fault::Replica { server: address.to_string() },
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn connect_as(
        &self,
        address: &Address,
        login: RedisConnectionInfo,
        heard: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Wire, Fault> {
        let server = address.to_string();
        let limit = self.settings.timeout;
        let unreachable =
            |error: std::io::Error| Fault::Unreachable { server: server.clone(), reason: error.to_string() };
        let silent = || Fault::Silent { server: server.clone() };
        let socket = timeout(limit, TcpStream::connect((address.host.as_str(), address.port)));
        let socket = socket.await.map_err(|_| silent())?.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else {
            return Wire::open(server, limit, login, heard, socket).await;
        };
        let wrong = |reason: String| Fault::Tls { server: server.clone(), reason };
        let name = ServerName::try_from(address.host.clone()).map_err(|error| wrong(error.to_string()))?;
        let secured = timeout(limit, tls.connect(name, socket)).await.map_err(|_| silent())?;
        let secured = secured.map_err(|error| match error.kind() {
            // A peer that goes away in the middle is a server that stops, more often than one that is wrong.
            std::io::ErrorKind::InvalidData => wrong(error.to_string()),
            _ => unreachable(error),
        })?;
        Wire::open(server, limit, login, heard, secured).await
    }
}

/// A connection. Its clones are the same one, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Wire {
    connection: MultiplexedConnection,
    server: Arc<str>,
    limit: Duration,
    _driver: Arc<Driver>,
}

/// What moves the bytes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    async fn open<S>(
        server: String,
        limit: Duration,
        login: RedisConnectionInfo,
        heard: Option<Arc<dyn AsyncPushSender>>,
        stream: S,
    ) -> Result<Self, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The time-outs are ours: one that the client drew for itself would leave the connection as it is.
        let mut config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_write_backpressure_boundary(1 << 16);
        if let Some(heard) = heard {
            config = config.set_push_sender(heard);
        }
        let opening = MultiplexedConnection::new_with_config(&login, stream, config);
        let opened = timeout(limit, opening).await.map_err(|_| Fault::Silent { server: server.clone() })?;
        let (connection, driver) = opened.map_err(|error| Fault::of(&server, &error))?;
        let driver = Arc::new(Driver(tokio::spawn(driver)));
        Ok(Self { connection, server: server.into(), limit, _driver: driver })
    }

    /// Runs commands that go out together, and waits for all of their answers, of which some may be errors.
    pub(crate) async fn run(&mut self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.within(async |connection| connection.send_packed_commands(commands, 0, commands.len()).await).await
    }

    /// Hears channels.
    pub(crate) async fn subscribe(&mut self, names: &[String]) -> Result<(), Fault> {
        self.within(async |connection| connection.subscribe(names).await).await
    }

    /// Hears them no more.
    pub(crate) async fn unsubscribe(&mut self, names: &[String]) -> Result<(), Fault> {
        self.within(async |connection| connection.unsubscribe(names).await).await
    }

    /// Which server it is with.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    async fn within<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Fault> {
        match timeout(self.limit, work(&mut self.connection)).await {
            Ok(done) => done.map_err(|error| Fault::of(&self.server, &error)),
            Err(_) => Err(Fault::Silent { server: self.server.to_string() }),
        }
    }
}

fn redis_login(username: Option<&str>, password: Option<&gateway_domain::Token>, database: i64) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(database);
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    login
}

fn connector(tls: &Tls) -> Result<TlsConnector, Fault> {
    let wrong = |reason: String| Fault::Authorities { reason };
    let mut roots = RootCertStore::empty();
    match &tls.authorities {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(wrong("there is none among them".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
