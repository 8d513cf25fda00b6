//! The same stories on several gateways: where the runner says `GATEWAY_TEST_NODES=3`, a [`TestGateway`](crate::TestGateway) is
//! three of them, joined by a Redis of their own, and clients are spread over them.

use std::{sync::OnceLock, time::Duration};

/// What is said at one node is heard at another a moment later: so long whoever asks whether that was all waits first.
const MOMENT: Duration = Duration::from_millis(150);

/// How many gateways a test gets where it asks for one.
pub fn nodes() -> usize {
    static NODES: OnceLock<usize> = OnceLock::new();
    *NODES.get_or_init(|| {
        #[allow(clippy::disallowed_methods, reason = "the runner speaks to the harness this way")]
        let wanted = std::env::var("GATEWAY_TEST_NODES").ok();
        wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(1).max(1)
    })
}

/// Waits until what was said at one node is heard at the others; for one node not at all.
pub async fn settled() {
    if nodes() > 1 {
        tokio::time::sleep(MOMENT).await;
    }
}
