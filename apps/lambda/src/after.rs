//! What is done once the answer is out. The service keeps a function awake until it asks for the next event, and the caller
//! has its answer long before: that is when a newcomer is greeted, and the audit written.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use lambda_runtime::{
    LambdaInvocation,
    tower::{Layer, Service},
};

use crate::front::Front;

/// Longer than the writer of the audit lets lines gather.
const TO_BE_WRITTEN: Duration = Duration::from_millis(12);

/// Puts the after behind the answer.
#[derive(Clone, Debug)]
pub struct Afterwards(pub Arc<Front>);

/// A service with an after.
#[derive(Clone, Debug)]
pub struct WithAfter<S> {
    front: Arc<Front>,
    inner: S,
}

impl<S> Layer<S> for Afterwards {
    type Service = WithAfter<S>;

    fn layer(&self, inner: S) -> WithAfter<S> {
        WithAfter { front: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<LambdaInvocation> for WithAfter<S>
where
    S: Service<LambdaInvocation, Response = ()>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let front = Arc::clone(&self.front);
        let before = front.recorded();
        let answered = self.inner.call(invocation);
        Box::pin(async move {
            answered.await?;
            front.after().await;
            if front.recorded() > before {
                // The function may not be woken for hours, or never.
                tokio::time::sleep(TO_BE_WRITTEN).await;
            }
            Ok(())
        })
    }
}
