//! A listening socket that outlives the process: whoever connects while one gateway ends and the next begins is answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use gateway_tests::{SECRET, program};

/// Starts a gateway as systemd would: the socket is the descriptor 3, and the environment says so.
fn started(folder: &Path, socket: &TcpListener, names: &str) -> Child {
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    let socket = OwnedFd::from(socket.try_clone().unwrap());
    Command::new("sh")
        .args(["-c", script])
        .arg(program::gateway())
        .args(["serve", "--config", "gateway.toml"])
        .env("LISTEN_FDNAMES", names)
        .current_dir(folder)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(fs::File::options().create(true).append(true).open(folder.join("log.txt")).unwrap())
        .spawn()
        .unwrap()
}

fn stopped(mut gateway: Child) {
    let told = Command::new("kill").args(["-TERM", &gateway.id().to_string()]).status().unwrap();
    assert!(told.success() && gateway.wait().unwrap().success());
}

/// Asks whether it lives, and waits for the answer for as long as that takes.
fn asks(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).expect("nobody is refused");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[test]
fn nobody_who_connects_while_it_is_restarted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
    // Nothing could listen there: it is the socket that is used.
    let config = "[server]\nlisten = \"192.0.2.1:1\"\n[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\n\
        secret_file = \"secret.txt\"\n[limits]\nhandshakes_per_ip = \"off\"\n";
    fs::write(folder.path().join("gateway.toml"), config).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut gateway = started(folder.path(), &socket, "server");
    assert!(asks(address).unwrap().starts_with("HTTP/1.1 200"), "it has waited in the socket");

    let (is_over, answered, lost) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (is_over, answered, lost) = (Arc::clone(&is_over), Arc::clone(&answered), Arc::clone(&lost));
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    match asks(address) {
                        Some(answer) => {
                            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        None => {
                            lost.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            })
        })
        .collect();
    for names in ["server", "gateway.socket", ""] {
        stopped(gateway);
        // Time in which there is no process at all.
        thread::sleep(Duration::from_millis(300));
        gateway = started(folder.path(), &socket, names);
        let before = answered.load(Ordering::Relaxed);
        while answered.load(Ordering::Relaxed) < before + 50 {
            thread::sleep(Duration::from_millis(20));
            assert!(
                gateway.try_wait().unwrap().is_none(),
                "{}",
                fs::read_to_string(folder.path().join("log.txt")).unwrap()
            );
        }
    }
    is_over.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(|caller| caller.join().expect("nobody was refused"));
    let (answered, lost) = (answered.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    // Who was accepted in the very moment of the end may lose the connection; nobody is turned away.
    assert!(answered >= 150 && lost <= 12, "{answered} answered, {lost} lost");
    stopped(gateway);

    // What is handed over for a listener that there is not stops the start, and says why.
    let mut wrong = started(folder.path(), &socket, "admin");
    assert_eq!(wrong.wait().unwrap().code(), Some(1));
    let log = fs::read_to_string(folder.path().join("log.txt")).unwrap();
    assert!(log.contains("192.0.2.1:1") || log.contains("admin.listen"), "{log}");
}
