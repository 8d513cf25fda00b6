//! The two gateways of `deploy/compose`: what each service may do, and whether the files fit together.

use serde_json::Value;

use super::{documents, is_sound, leaving, read, root, time};

const FOLDER: &str = "deploy/compose";

fn file() -> Value {
    let mut documents = documents(&read("deploy/compose/compose.yml"));
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn no_service_may_more_than_it_must_and_none_is_open_to_the_street() {
    for (name, service) in file()["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(list(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(service["cap_add"].is_null() && service["privileged"].is_null(), "{name}");
        assert_eq!(list(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        for port in list(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
        let image = service["image"].as_str().unwrap();
        let is_ours = !service["build"].is_null();
        assert!(is_ours || image.split_once(':').is_some_and(|(_, tag)| tag != "latest"), "{image}");
    }
}

#[test]
fn every_file_that_is_mounted_is_there() {
    let compose = file();
    let mut mounted = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in list(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            if source.starts_with('.') {
                assert!(root().join(FOLDER).join(source).exists(), "{name} mounts {source}");
                mounted += 1;
            } else {
                assert!(compose["volumes"].get(source).is_some(), "{name} mounts {source}");
            }
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(compose["secrets"].get(secret["source"].as_str().unwrap()).is_some(), "{name}: {secret}");
        }
    }
    assert!(mounted >= 6, "{mounted}");
}

#[test]
fn the_gateways_are_two_and_serve_with_a_configuration_that_is_sound() {
    let compose = file();
    let gateways: Vec<_> =
        compose["services"].as_object().unwrap().iter().filter(|(_, service)| !service["build"].is_null()).collect();
    assert_eq!(gateways.len(), 2);
    for (name, gateway) in &gateways {
        assert_eq!(gateway["hostname"], ***name, "the name of the node is that of the machine");
        let grace = time(gateway["stop_grace_period"].as_str().unwrap());
        assert!(grace > leaving(None), "{name} is killed before it has left: {grace:?}");
        assert!(gateway["ulimits"]["nofile"]["hard"].as_u64() >= Some(65_536));
    }
    let config = read("deploy/compose/gateway.toml");
    is_sound(&config, "secret.txt", &[]);
    let networks = &compose["networks"]["inside"];
    let subnet = networks["ipam"]["config"][0]["subnet"].as_str().unwrap();
    assert!(config.contains(&format!("trusted_proxies = [\"{subnet}\"]")), "nginx is believed, and nobody else");
    assert_eq!(networks["internal"], true);
}

#[test]
fn nginx_and_prometheus_know_the_gateways_by_the_names_that_they_have() {
    let compose = file();
    let services = compose["services"].as_object().unwrap();
    let named = |text: &str, port: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || "\"',;[]".contains(c));
        words.filter_map(|word| word.strip_suffix(port)).map(str::to_owned).collect()
    };
    for (path, port) in [("deploy/proxies/nginx.conf", ":8080"), ("deploy/prometheus/prometheus.yml", ":8081")] {
        let names = named(&read(path), port);
        assert!(names.len() >= 2, "{path}: {names:?}");
        for name in names {
            assert!(services.contains_key(&name), "{path} names {name}");
        }
    }
    let token = compose["services"]["prometheus"]["secrets"][0]["target"].as_str().unwrap();
    assert!(read("deploy/prometheus/prometheus.yml").contains(token), "where the token of the scraper is");
}
