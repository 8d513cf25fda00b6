//! The accept loop. It never ends by an error: a socket that cannot be had now may be had in a moment.

use std::{convert::Infallible, io, sync::Arc};

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::{pin, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Counters, Limits, Listener,
    attend::{Front, attend},
    shortage::{CALM, PAUSE, Shortage},
    vestibule::Vestibule,
};
use crate::address::AddressLaw;

/// Serves a service, such as `warp::service(routes)`, on a listener until `shutdown`; then lets the requests in flight
/// end, within the limits' grace. Every request has a [`super::ConnectionInfo`] and its [`http::Version`] among its extensions. Connections that
/// were upgraded are no longer the listener's: their end is not waited for.
pub async fn serve<S, B>(
    listener: Listener,
    limits: Limits,
    tls: Option<Arc<ServerConfig>>,
    address_law: Arc<AddressLaw>,
    service: S,
    shutdown: CancellationToken,
    counters: Arc<Counters>,
) where
    S: Clone + Send + 'static,
    TowerToHyperService<S>: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    <TowerToHyperService<S> as hyper::service::Service<Request<Incoming>>>::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let vestibule = Vestibule::new(&limits, Arc::clone(&counters));
    let front = Arc::new(Front { limits, tls: tls.map(TlsAcceptor::from), address_law, shutdown, counters });
    let connections = TaskTracker::new();
    let mut shortage: Option<Shortage> = None;
    let calm = sleep(CALM);
    pin!(calm);
    loop {
        let accepted = tokio::select! {
            biased;
            () = front.shutdown.cancelled() => break,
            () = &mut calm, if shortage.is_some() => {
                shortage = None;
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (wire, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_socket(&error) => continue,
            Err(error) => {
                front.counters.accept_faults.add();
                if shortage.is_none() {
                    tracing::error!(%error, "no socket can be accepted; trying again until one can");
                }
                vestibule.make_room(shortage.get_or_insert_default().bear());
                calm.set(sleep(CALM));
                sleep(PAUSE).await;
                continue;
            }
        };
        if let Some(shortage) = &mut shortage {
            shortage.find();
        }
        front.counters.accepted.add();
        // No task for a socket without a place: it is closed here.
        if let Some(ticket) = vestibule.enter(front.holder(&peer)) {
            connections.spawn(attend(Arc::clone(&front), wire, peer, ticket, service.clone()));
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The client was gone before it was accepted: nothing is wrong with the listener.
fn is_of_one_socket(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
