//! `gateway completion`: a script for each shell, which the shell itself can read, and which knows the commands.

use std::process::Command;

use crate::support::Folder;

#[test]
fn every_shell_has_a_completion_that_knows_every_command() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.run(&["completion", shell]).fine();
        for command in ["serve", "doctor", "health", "completion", "token", "revoke"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    folder.run(&["completion", "csh"]).ends(2, &["bash", "zsh", "fish"]);
}

#[test]
fn bash_completes_commands_and_options_by_it() {
    let folder = Folder::empty();
    folder.write("gateway.bash", folder.run(&["completion", "bash"]).fine());
    let completed = |words: &[&str]| {
        let line = words.join(" ");
        let script = format!(
            ". ./gateway.bash; COMP_WORDS=({line}); COMP_CWORD={}; _gateway gateway \"{}\" \"{}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let told = Command::new("bash").args(["-c", &script]).current_dir(folder.path("")).output().unwrap();
        assert!(told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    };
    assert_eq!(completed(&["gateway", "doc"]).trim(), "doctor");
    assert!(completed(&["gateway", "doctor", "--off"]).contains("--offline"));
    assert!(completed(&["gateway", "keys", "gen"]).contains("generate"));
}
