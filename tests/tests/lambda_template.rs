//! The template of AWS is sound to those who know its language, and gives no function more than it needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{fs, path::Path, process::Command};

use gateway_tests::python;

fn template() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/aws/template.yaml");
    fs::read_to_string(path).expect("the template")
}

/// What cfn-lint says of a template: nothing, where it is sound.
fn faults(template: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.yaml");
    fs::write(&file, template).unwrap();
    let lint = Command::new(python::program("cfn-lint")).arg(&file).output().expect("cfn-lint");
    format!("{}{}", String::from_utf8_lossy(&lint.stdout), String::from_utf8_lossy(&lint.stderr))
}

#[test]
fn the_template_is_sound_and_the_one_who_says_so_can_tell() {
    let template = template();
    assert_eq!(faults(&template), "");
    for (sound, broken) in
        [("BillingMode: PAY_PER_REQUEST", "BillingMode: FREE_OF_CHARGE"), ("${Integration}", "${Nowhere}")]
    {
        assert!(template.contains(sound), "{sound}");
        assert!(!faults(&template.replace(sound, broken)).is_empty(), "{broken} went by");
    }
}

#[test]
fn nobody_may_everything_and_what_is_written_ends() {
    let template = template();
    let rules: Vec<&str> = template.lines().map(str::trim).collect();
    assert!(!rules.iter().any(|rule| *rule == "Resource: \"*\"" || rule.contains(":*\"") || rule.ends_with(":*]")));
    let logs = rules.iter().filter(|rule| **rule == "Type: AWS::Logs::LogGroup").count();
    let ends = rules.iter().filter(|rule| rule.starts_with("RetentionInDays:")).count();
    assert_eq!((logs, ends), (2, 2), "each function has a log, and each log an end");
    for wanted in
        ["RouteKey: $connect", "RouteKey: $disconnect", "RouteKey: $default", "AllowedValues: [arm64, x86_64]"]
    {
        assert!(rules.contains(&wanted), "{wanted}");
    }
    // An access log of the API would hold the query of each handshake.
    assert!(!template.contains("AccessLogSettings:"));
}
