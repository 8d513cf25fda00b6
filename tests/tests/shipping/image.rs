//! The image: what it is made from, who runs in it, and how it is asked whether it lives.

use super::read;

/// The instructions of the Dockerfile, continued lines joined, comments left out.
fn instructions() -> Vec<(String, String)> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// Those of the last stage, which is the image.
fn of_the_image() -> Vec<(String, String)> {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    all[last..].to_vec()
}

fn one(name: &str) -> String {
    let found: Vec<_> = of_the_image().into_iter().filter(|(own, _)| own == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].1.clone()
}

#[test]
fn the_image_holds_the_program_and_nothing_that_could_run_beside_it() {
    assert_eq!(one("FROM"), "scratch");
    assert_eq!(one("COPY"), "--from=build /image/ /");
    for (name, _) in of_the_image() {
        assert!(!["RUN", "ADD"].contains(&name.as_str()), "{name} in the image");
    }
    for (name, rest) in instructions() {
        assert!(name != "ADD", "ADD {rest}");
        assert!(name != "FROM" || !rest.contains(":latest"), "{rest}");
    }
}

#[test]
fn the_image_is_built_by_the_rust_that_the_workspace_names() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let builder = instructions().into_iter().find(|(name, _)| name == "FROM").unwrap().1;
    assert!(builder.starts_with(&format!("rust:{version}-")), "{builder}");
}

#[test]
fn nobody_in_particular_runs_in_it_and_a_container_without_a_configuration_knows_that_it_is_one() {
    let user = one("USER");
    let (user, group) = user.split_once(':').expect("a user and a group");
    assert!([user, group].iter().all(|id| id.parse::<u32>().is_ok_and(|id| id > 1000)), "{user}:{group}");
    assert_eq!(one("ENV"), "GATEWAY_CONTAINER=1");
    assert_eq!(one("STOPSIGNAL"), "SIGTERM");
}

/// The very arguments, tried on a gateway: yes while it serves, no when it is gone.
#[test]
fn its_health_check_is_a_question_that_the_program_answers() {
    let check = one("HEALTHCHECK");
    let arguments = check.split_once("CMD ").expect("a command").1;
    let arguments: Vec<String> = serde_json::from_str(arguments).expect("a list");
    let command: Vec<String> = serde_json::from_str(&one("CMD")).expect("a list");
    assert_eq!(arguments[0], serde_json::from_str::<Vec<String>>(&one("ENTRYPOINT")).unwrap()[0]);
    assert_eq!(arguments[1..3], ["health", "--config"]);
    assert_eq!(arguments[2..], command[1..], "both read one configuration");
}

#[test]
fn the_work_tree_goes_into_the_build_by_a_list() {
    let ignored = read(".dockerignore");
    let mut lines = ignored.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    for line in lines {
        assert!(line.starts_with('!') || line.starts_with("**/"), "{line}");
    }
}
