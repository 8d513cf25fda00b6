//! The chart for Kubernetes. Helm is not on every machine that tests: what it made of the chart is kept beside it
//! (`make chart`), with the sum of the sources that it was made from, so that it cannot be of another chart. Where Helm is
//! there, it is asked again.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{documents, is_sound, leaving, read, root, time};

const RENDERED: [&str; 2] = ["deploy/helm/rendered/default.yaml", "deploy/helm/rendered/everything.yaml"];

/// Everything that the rendered files are made from, in the order of the bytes of their names.
fn sources() -> Vec<PathBuf> {
    let (mut files, mut folders) =
        (vec![root().join("deploy/helm/everything.yaml")], vec![root().join("deploy/helm/gateway")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    files
}

fn values() -> Value {
    documents(&read("deploy/helm/gateway/values.yaml")).remove(0)
}

fn of_kind(path: &str, kind: &str) -> Vec<Value> {
    documents(&read(path)).into_iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn what_is_rendered_is_of_this_chart() {
    let all: Vec<u8> = sources().iter().flat_map(|file| fs::read(file).unwrap()).collect();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &all);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        read("deploy/helm/rendered/sha256").trim(),
        sum,
        "the chart changed: run `make chart`, with helm at hand"
    );
}

#[test]
fn helm_makes_the_same_of_it_where_helm_is_there() {
    let more: [&[&str]; 2] = [&[], &["-f", "deploy/helm/everything.yaml"]];
    for (path, more) in RENDERED.iter().zip(more) {
        let mut helm = Command::new("helm");
        helm.args(["template", "gateway", "deploy/helm/gateway", "--kube-version", "1.33.0"]).args(more);
        let Ok(made) = helm.current_dir(root()).output() else {
            println!("helm is not here: what it made is read, and it is not asked again");
            return;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        assert_eq!(documents(&String::from_utf8(made.stdout).unwrap()), documents(&read(path)), "{path}");
    }
}

#[test]
fn the_chart_makes_what_it_should() {
    let kinds = |path: &str| -> BTreeSet<String> {
        documents(&read(path)).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let always = ["ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"];
    let asked_for = ["HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "ServiceMonitor"];
    assert_eq!(kinds(RENDERED[0]), always.map(str::to_owned).into());
    assert_eq!(kinds(RENDERED[1]), always.iter().chain(&asked_for).map(|kind| (*kind).to_owned()).collect());
}

#[test]
fn a_pod_runs_as_nobody_on_a_file_system_that_is_only_read() {
    for path in RENDERED {
        let deployment = &of_kind(path, "Deployment")[0];
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();
        assert!(read("deploy/Dockerfile").contains(&format!("USER {user}:{user}")), "the user of the image");
        let may = &container["securityContext"];
        assert_eq!(
            *may,
            json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
        );
        assert!(
            container["resources"]["limits"]["memory"].is_string()
                && container["resources"]["requests"]["cpu"].is_string()
        );
        let mounts = container["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().any(|mount| mount["mountPath"] == "/etc/gateway" && mount["readOnly"] == true));
    }
}

#[test]
fn a_pod_is_asked_how_it_is_and_given_the_time_to_leave() {
    for path in RENDERED {
        let deployment = &of_kind(path, "Deployment")[0];
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let ports: Vec<_> = container["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
        for (probe, asked) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], asked);
            assert!(ports.contains(&&get["port"]), "{probe} asks at {}", get["port"]);
        }
        let settles = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let noticed = container["readinessProbe"]["periodSeconds"].as_u64().unwrap();
        assert!(settles >= noticed, "newcomers are sent to a pod that leaves");
        let env = container["env"].as_array().unwrap();
        let drain = env.iter().find(|variable| variable["name"] == "GATEWAY__SERVER__DRAIN_TIMEOUT").unwrap();
        let drain = time(drain["value"].as_str().unwrap());
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > settles + leaving(Some(drain)).as_secs(), "a pod is killed before it has left: {grace} s");
    }
}

#[test]
fn services_budgets_and_policies_mean_the_pods_that_there_are() {
    for path in RENDERED {
        let deployment = &of_kind(path, "Deployment")[0];
        let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        let mut selectors = vec![deployment["spec"]["selector"]["matchLabels"].clone()];
        selectors.extend(of_kind(path, "Service").iter().map(|service| service["spec"]["selector"].clone()));
        selectors.extend(
            of_kind(path, "PodDisruptionBudget").iter().map(|budget| budget["spec"]["selector"]["matchLabels"].clone()),
        );
        selectors.extend(
            of_kind(path, "NetworkPolicy").iter().map(|policy| policy["spec"]["podSelector"]["matchLabels"].clone()),
        );
        for selector in selectors {
            let selector = selector.as_object().unwrap();
            assert!(selector.len() >= 2 && selector.iter().all(|(name, value)| labels.get(name) == Some(value)));
        }
        for scaler in of_kind(path, "HorizontalPodAutoscaler") {
            assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
            assert_eq!(scaler["spec"]["metrics"][0]["pods"]["metric"]["name"], "gateway_connections");
            assert!(deployment["spec"].get("replicas").is_none(), "two would set the number of replicas");
        }
    }
}

#[test]
fn the_configuration_of_the_chart_is_sound_and_listens_where_the_pod_says() {
    let config = values()["config"].as_str().unwrap().to_owned();
    is_sound(
        &config,
        "secrets/main",
        &[("GATEWAY__SERVER__NODE", "gateway-7d9f-x2x"), ("GATEWAY__SERVER__DRAIN_TIMEOUT", "45s")],
    );
    let container = &of_kind(RENDERED[0], "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    for port in container["ports"].as_array().unwrap() {
        assert!(config.contains(&format!("listen = \"0.0.0.0:{}\"", port["containerPort"])), "{port}");
    }
    let mounted = of_kind(RENDERED[0], "ConfigMap")[0]["data"]["gateway.toml"].as_str().unwrap().to_owned();
    let plain = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(plain(&mounted).trim(), plain(&config).trim());
}

#[test]
fn the_values_have_a_schema_that_takes_them_and_no_nonsense() {
    let schema: Value = serde_json::from_str(&read("deploy/helm/gateway/values.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let own = values();
    assert!(schema.is_valid(&own), "{:?}", schema.iter_errors(&own).map(|fault| fault.to_string()).collect::<Vec<_>>());
    for (place, nonsense) in [
        ("/drain/seconds", json!(0)),
        ("/replicas", json!("two")),
        ("/config", json!("[server]")),
        ("/secrets/existing", json!("")),
        ("/service/type", json!("Loadbalancer")),
        ("/autoscaling/cpu", json!(200)),
        ("/image/pullPolicy", json!("Sometimes")),
    ] {
        let mut values = own.clone();
        *values.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = nonsense;
        assert!(!schema.is_valid(&values), "{place}");
    }
    let mut misspelt = own;
    misspelt["replica"] = json!(3);
    assert!(!schema.is_valid(&misspelt));
}

/// A value that no template reads would be set in vain, and one that is read and not there would be empty.
#[test]
fn templates_read_every_value_and_none_that_is_not_there() {
    let folder = root().join("deploy/helm/gateway/templates");
    let texts: String =
        fs::read_dir(&folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let used: BTreeSet<String> = texts
        .split(".Values.")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect::<String>())
        .map(|path| format!("/{}", path.trim_end_matches('.').replace('.', "/")))
        .collect();
    let values = values();
    for path in &used {
        assert!(values.pointer(path).is_some(), "{path} is read, and not among the values");
    }
    for (name, value) in values.as_object().unwrap() {
        let inner: Vec<String> = match value {
            Value::Object(inner) if !inner.is_empty() => inner.keys().map(|key| format!("/{name}/{key}")).collect(),
            _ => Vec::new(),
        };
        let whole = format!("/{name}");
        let is_read =
            |path: &String| used.contains(path) || used.iter().any(|used| path.starts_with(&format!("{used}/")));
        assert!(
            used.contains(&whole) || !inner.is_empty() && inner.iter().all(is_read),
            "{whole} is read by no template"
        );
    }
    assert!(Path::new(&folder).join("NOTES.txt").exists());
}
