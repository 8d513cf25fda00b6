//! The runtime API of Lambda: each environment is a process that asks for the next event, answers it, and asks again.

use std::{
    collections::HashMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{
    PATIENCE,
    http::{Request, answer},
};
use crate::{process, program::collect};

const API: &str = "/2018-06-01/runtime";

/// An event on its way to an environment.
struct Call {
    event: String,
    answers: oneshot::Sender<Value>,
}

/// All environments of a function.
pub(super) struct Runtime {
    calls: mpsc::Sender<Call>,
    shared: Arc<Shared>,
    environments: Mutex<Vec<Environment>>,
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::Receiver<Call>>,
    running: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    written: Arc<Mutex<String>>,
    first: Mutex<Option<Duration>>,
}

struct Environment {
    child: Child,
    serving: JoinHandle<()>,
}

impl Default for Runtime {
    fn default() -> Self {
        let (calls, waiting) = mpsc::channel(1024);
        let shared = Shared {
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            written: Arc::default(),
            first: Mutex::default(),
        };
        Self { calls, shared: Arc::new(shared), environments: Mutex::default() }
    }
}

impl Runtime {
    /// Begins an environment.
    pub(super) async fn begin(&self, program: &Path, folder: &Path, env: &[(String, String)]) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "gateway"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_REGION", "eu-test-1"),
                ("AWS_ACCESS_KEY_ID", "key-of-the-test"),
                ("AWS_SECRET_ACCESS_KEY", "secret-of-the-test"),
                ("AWS_SESSION_TOKEN", "session-of-the-test"),
            ])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let watch = process::stopwatch();
        let mut child = command.spawn().expect("the program");
        collect(child.stdout.take().expect("its output"), Arc::clone(&self.shared.written), |_| {});
        collect(child.stderr.take().expect("its errors"), Arc::clone(&self.shared.written), |_| {});
        let shared = Arc::clone(&self.shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, Arc::clone(&shared), watch));
            }
        });
        self.environments.lock().unwrap().push(Environment { child, serving });
    }

    /// Has an event answered.
    pub(super) async fn invoke(&self, event: Value) -> Value {
        let (answers, answered) = oneshot::channel();
        let call = Call { event: event.to_string(), answers };
        let outcome = async {
            self.calls.send(call).await.ok()?;
            answered.await.ok()
        };
        let answered = tokio::time::timeout(PATIENCE, outcome).await;
        answered.ok().flatten().unwrap_or_else(|| panic!("no answer; the function wrote:\n{}", self.written()))
    }

    pub(super) fn written(&self) -> String {
        self.shared.written.lock().unwrap().clone()
    }

    pub(super) fn measures(&self) -> (u64, Duration) {
        let environments = self.environments.lock().unwrap();
        let memory = environments.iter().map(|one| process::resident_kib(one.child.id())).max();
        (memory.unwrap_or_default(), self.shared.first.lock().unwrap().unwrap_or_default())
    }

    /// Ends all environments; what they wrote.
    pub(super) fn end(&self) -> String {
        for mut environment in self.environments.lock().unwrap().drain(..) {
            environment.serving.abort();
            let _ = environment.child.kill();
            let _ = environment.child.wait();
        }
        self.written()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, watch: std::time::Instant) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = Request::read(&mut stream).await?;
        let target = request.target.strip_prefix(API).unwrap_or_default().to_owned();
        if target == "/invocation/next" {
            shared.first.lock().unwrap().get_or_insert_with(|| watch.elapsed());
            let call = shared.waiting.lock().await.recv().await?;
            let id = Uuid::new_v4().to_string();
            shared.running.lock().unwrap().insert(id.clone(), call.answers);
            let deadline = (crate::tokens::now() * 1000 + 29_000).to_string();
            let headers = [
                ("lambda-runtime-aws-request-id", id.as_str()),
                ("lambda-runtime-deadline-ms", deadline.as_str()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-test-1:1:function:gateway"),
                ("content-type", "application/json"),
            ];
            answer(&mut stream, 200, &headers, call.event.as_bytes()).await?;
            continue;
        }
        let said = String::from_utf8_lossy(&request.body).into_owned();
        if let Some(id) = target.strip_prefix("/invocation/").and_then(|rest| rest.strip_suffix("/response")) {
            if let Some(answers) = shared.running.lock().unwrap().remove(id) {
                let _ = answers.send(serde_json::from_str(&said).unwrap_or_default());
            }
        } else {
            shared.written.lock().unwrap().push_str(&format!("the runtime was told of an error: {target} {said}\n"));
        }
        answer(&mut stream, 202, &[], b"{}").await?;
    }
}
