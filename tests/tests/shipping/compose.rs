//! The two gateways of `deploy/compose`: what each service may do, and whether the files fit together.

use gateway_tests::{TestGateway, gateway::Options, program::run, redis::Redis};
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
    for (_, gateway) in &gateways {
        let env = environment(gateway);
        is_sound(&config, "secret.txt", &env.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>());
    }
    let networks = &compose["networks"]["inside"];
    let subnet = networks["ipam"]["config"][0]["subnet"].as_str().unwrap();
    assert!(config.contains(&format!("trusted_proxies = [\"{subnet}\"]")), "nginx is believed, and nobody else");
    assert_eq!(networks["internal"], true);
}

/// What a service has of variables.
fn environment(service: &Value) -> Vec<(String, String)> {
    let all = service["environment"].as_object().unwrap().iter();
    all.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn the_gateways_become_one_at_the_redis_that_their_environment_names() {
    let (compose, redis) = (file(), Redis::start());
    let here = format!("127.0.0.1:{}", redis.port);
    let config =
        read("deploy/compose/gateway.toml").replace("/var/lib/gateway/", "").replace("0.0.0.0:8081", "127.0.0.1:0");
    let mut running = Vec::new();
    for name in ["gateway-1", "gateway-2"] {
        let mut env = environment(&compose["services"][name]);
        for (_, value) in &mut env {
            *value = value.replace("redis:6379", &here);
        }
        let asked: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // A container is a machine of that name.
        let mut more = env.clone();
        more.push(("GATEWAY__SERVER__NODE".into(), name.into()));
        let listen = Some("127.0.0.1:0".into());
        let options = Options { config: config.clone(), own_keys: true, env: more, listen, ..Options::default() };
        let gateway = TestGateway::open(options);
        let (_, found, faults) = run(gateway.folder.path(), &["doctor", "--config", "gateway.toml"], "", &asked);
        assert!(found.contains(&format!("{here} lets this gateway in")), "{found}{faults}");
        running.push(gateway);
    }
    assert_eq!(redis.ask(&["ZCARD", "gateway:1:nodes"]), ":2\r\n");
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
