//! `gateway health`: yes while the gateway of this configuration answers, no otherwise, whatever it listens on.

use crate::support::{CONFIG, Folder};

fn on(listen: &str) -> Folder {
    let folder = Folder::with(&CONFIG.replace("127.0.0.1:0", listen));
    folder.write("secret.txt", "a secret of 32 bytes at the least, made up\n");
    folder
}

#[test]
fn a_gateway_that_serves_is_well_and_one_that_is_gone_is_not() {
    let folder = Folder::configured();
    let serving = folder.serve();
    let there = ["health", "--url", &serving.url()];
    assert_eq!(folder.run(&there).fine(), "200 ok\n");
    assert_eq!(folder.run(&[&there[..], &["--ready"]].concat()).fine(), "200 ok\n");
    let named = [("GATEWAY_URL", serving.url())];
    let named = named.each_ref().map(|(name, url)| (*name, url.as_str()));
    assert_eq!(folder.run_with(&["health"], "", &named).fine(), "200 ok\n");
    drop(serving);
    folder.run(&there).ends(1, &["no gateway answers"]);
}

#[test]
fn it_finds_the_gateway_by_the_configuration_alone() {
    // A port of its own, which the system names and gives back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = on(&format!("0.0.0.0:{port}"));
    folder.run(&["health"]).ends(1, &["no gateway answers", &format!("127.0.0.1:{port}")]);
    let serving = folder.serve();
    assert_eq!(folder.run(&["health"]).fine(), "200 ok\n");
    drop(serving);
}

#[test]
fn a_socket_in_the_file_system_is_asked_too() {
    let folder = on("unix:gateway.sock");
    let serving = folder.serve();
    assert_eq!(folder.run(&["health", "--ready"]).fine(), "200 ok\n");
    drop(serving);
    folder.run(&["health"]).ends(1, &["unix:"]);
}

#[test]
fn tls_with_a_certificate_for_another_name_is_no_illness() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = CONFIG.replace(
        "127.0.0.1:0\"",
        &format!("127.0.0.1:{port}\"\ntls = {{ cert_file = \"c.pem\", key_file = \"k.pem\" }}"),
    );
    let folder = Folder::with(&config);
    folder.write("secret.txt", "a secret of 32 bytes at the least, made up\n");
    let made = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    folder.write("c.pem", made.cert.pem());
    folder.write("k.pem", made.signing_key.serialize_pem());
    let serving = folder.serve();
    assert_eq!(folder.run(&["health"]).fine(), "200 ok\n");
    drop(serving);
}

#[test]
fn a_port_that_the_system_chose_has_to_be_named() {
    Folder::configured().run(&["health"]).ends(1, &["--url"]);
}
