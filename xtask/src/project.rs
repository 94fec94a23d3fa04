//! The checkout: its folders, its manifests, its compiler.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map(Path::to_owned).unwrap_or(xtask)
}

/// The cargo that runs us, in the root folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Runs a command that reads nothing; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = shown(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {status}"))
    }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Whether a program of that name is on the `PATH`.
pub(crate) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .any(|folder| folder.join(program).is_file())
}

/// The triple that the compiler builds for by default.
pub(crate) fn host() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .map_err(|error| format!("rustc -vV: {error}"))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// A library crate of ours and its Cargo features.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

/// The packages in `crates/`, in the order of their names.
pub(crate) fn packages() -> Result<Vec<Package>, String> {
    let folder = root().join("crates");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut packages: Vec<Package> = entries
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("Cargo.toml")).ok())
        .filter_map(|manifest| package(&manifest))
        .collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

/// Reads as much of a manifest as our own ones need: a table's header or one key stands on each line.
fn package(manifest: &str) -> Option<Package> {
    let name = values(manifest, "[package]", "name").next()?;
    let features = keys(manifest, "[features]")
        .filter(|feature| *feature != "default")
        .map(str::to_owned)
        .collect();
    Some(Package { name, features })
}

/// The string values of `key` in each table with this header.
pub(crate) fn values<'a>(
    manifest: &'a str,
    header: &'a str,
    key: &'a str,
) -> impl Iterator<Item = String> + 'a {
    lines_of(manifest, header).filter_map(move |line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn keys<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    lines_of(manifest, header)
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
}

fn lines_of<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    let mut inside = false;
    manifest.lines().map(str::trim).filter(move |line| {
        if line.starts_with('[') {
            inside = *line == header;
            return false;
        }
        inside && !line.starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_gives_its_name_and_its_features() {
        let manifest = "[package]\nname = \"tidings\"\nversion.workspace = true\n\n\
            [features]\ndefault = []\n## TLS = with rustls.\ntls = [\n  \"dep:rustls\",\n]\n\
            json = []\n\n[dependencies]\nname = \"1\"\n";
        let package = package(manifest).unwrap();
        assert_eq!(package.name, "tidings");
        assert_eq!(package.features, ["tls", "json"]);
    }

    #[test]
    fn each_table_of_a_list_gives_its_value() {
        let manifest =
            "[[bin]]\nname = \"decode\"\npath = \"decode.rs\"\n[[bin]]\nname = \"model\"\n";
        let names: Vec<String> = values(manifest, "[[bin]]", "name").collect();
        assert_eq!(names, ["decode", "model"]);
    }
}
