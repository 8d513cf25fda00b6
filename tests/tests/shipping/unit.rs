//! The units of systemd: that the service gets its socket, its time to leave and its folders, and little else.

use std::collections::BTreeMap;

use super::{leaving, read, time};

/// The lines of a unit, by section and name.
fn unit(path: &str) -> BTreeMap<String, Vec<String>> {
    let (mut section, mut lines) = (String::new(), BTreeMap::<String, Vec<String>>::new());
    for line in read(path).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{path}: {line}"));
            lines.entry(format!("{section}.{name}")).or_default().push(value.to_owned());
        }
    }
    lines
}

const SERVICE: &str = "deploy/systemd/gateway.service";

#[test]
fn the_service_begins_with_its_socket_and_is_given_the_time_to_leave() {
    let (service, socket) = (unit(SERVICE), unit("deploy/systemd/gateway.socket"));
    for name in ["Unit.Requires", "Service.Sockets"] {
        assert_eq!(service[name], ["gateway.socket"], "{name}");
    }
    assert_eq!(socket["Socket.Service"], ["gateway.service"]);
    assert!(socket["Socket.FileDescriptorName"][0].starts_with("server"));
    assert!(time(&service["Service.TimeoutStopSec"][0]) > leaving(None));
    assert_eq!(service["Service.KillSignal"], ["SIGTERM"]);
    assert_eq!(service["Service.RestartPreventExitStatus"], ["2"], "a wrong configuration is not tried again");
    assert!(service["Service.LimitNOFILE"][0].parse::<u64>().unwrap() >= 65_536);
}

#[test]
fn the_commands_of_the_service_are_the_programs() {
    let service = unit(SERVICE);
    let commands = ["Service.ExecStartPre", "Service.ExecStart", "Service.ExecReload"];
    for command in commands.iter().flat_map(|name| &service[*name]) {
        let Some(arguments) = command.strip_prefix("/usr/local/bin/gateway ") else {
            assert_eq!(command, "/bin/kill -HUP $MAINPID");
            continue;
        };
        let told: Vec<_> = arguments.split(' ').chain(["--help"]).collect();
        let (code, _, faults) = gateway_tests::program::run(&std::env::temp_dir(), &told, "", &[]);
        assert_eq!(code, Some(0), "{command}: {faults}");
    }
}

#[test]
fn the_service_may_do_little_beside_serving() {
    let service = unit(SERVICE);
    for (name, value) in [
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectControlGroups", "yes"),
        ("ProtectProc", "invisible"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("RestrictNamespaces", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("LockPersonality", "yes"),
        ("SystemCallArchitectures", "native"),
        ("StateDirectory", "gateway"),
    ] {
        assert_eq!(service[&format!("Service.{name}")], [value], "{name}");
    }
    assert!(service["Service.SystemCallFilter"].contains(&"@system-service".to_owned()));
    assert_ne!(service["Service.User"], ["root"]);
}
