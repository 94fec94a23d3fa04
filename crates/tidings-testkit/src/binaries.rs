//! Which servers there are on this machine, and which of them tests run on.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One server program that was found and that told its version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binary {
    /// Redis or Valkey, as the program says itself (a file's name may deceive).
    pub flavor: Flavor,
    /// What it answered to `--version`.
    pub version: Version,
    /// Where it lies.
    pub path: PathBuf,
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "tests match on both")]
pub enum Flavor {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// A server's version, ordered as versions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    clippy::exhaustive_structs,
    reason = "tests compare with literals of it"
)]
pub struct Version {
    /// 7 in 7.0.15.
    pub major: u32,
    /// 0 in 7.0.15.
    pub minor: u32,
    /// 15 in 7.0.15.
    pub patch: u32,
}

/// All servers that were found, the oldest Redis first, then Valkey; looked for once in a process.
///
/// Looked at, in this order: the path lists in `TIDINGS_REDIS_SERVER` and `TIDINGS_VALKEY_SERVER`,
/// `redis-server` and `valkey-server` on the `PATH`, and `servers/*/bin/` in the target folder
/// (`CARGO_TARGET_DIR`, and each `target` upwards of the crate and of the current folder). Of two
/// of the same flavor and version the first is kept; one that does not answer `--version` is not.
#[must_use]
pub fn servers() -> &'static [Binary] {
    static FOUND: OnceLock<Vec<Binary>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found: Vec<Binary> = Vec::new();
        for path in candidates() {
            let Some(binary) = Binary::at(&path) else {
                continue;
            };
            if !found.iter().any(|other| other.same_server(&binary)) {
                found.push(binary);
            }
        }
        found.sort_by_key(|binary| (binary.flavor, binary.version));
        found
    })
}

/// The servers that tests run on: the oldest and the newest Redis and the newest Valkey there are.
///
/// `TIDINGS_TEST_SERVERS` names others: `all`, or a list such as `redis-7.0.15,valkey-9`, where
/// `valkey` is every Valkey and `redis-7` every Redis 7.
///
/// # Panics
///
/// If no server is found, or none for a name in `TIDINGS_TEST_SERVERS`: a test that cannot run
/// must not pass.
#[must_use]
pub fn matrix() -> Vec<Binary> {
    let all = servers();
    assert!(!all.is_empty(), "{NONE_FOUND}");
    match env::var("TIDINGS_TEST_SERVERS") {
        Ok(wanted) if !wanted.trim().is_empty() => {
            select(all, &wanted).unwrap_or_else(|problem| panic!("{problem}"))
        }
        _ => ends(all),
    }
}

const NONE_FOUND: &str = "no Redis or Valkey server was found.\n\
    Install one (`apt install redis-server`, `brew install valkey`, …), or name one in \
    TIDINGS_REDIS_SERVER or TIDINGS_VALKEY_SERVER, or run `cargo xtask servers` in the Tidings \
    repository, which puts several into target/servers/.";

impl Binary {
    /// The server at `path`, if it is one: it must answer `--version`.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        let output = Command::new(path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let (flavor, version) = parse_version_line(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            flavor,
            version,
            path: path.to_owned(),
        })
    }

    fn same_server(&self, other: &Self) -> bool {
        (self.flavor, self.version) == (other.flavor, other.version)
    }

    /// `redis` is every Redis, `redis-7` every Redis 7, `redis-7.0.15` that one.
    fn answers_to(&self, name: &str) -> bool {
        let own = self.to_string();
        own.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    }
}

/// As in `redis-7.0.15`.
impl fmt::Display for Binary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.flavor, self.version)
    }
}

impl Flavor {
    fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        })
    }
}

impl Version {
    /// `Version::new(7, 0, 15)`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Reads `Redis server v=7.0.15 sha=…` and `Valkey server v=9.1.2 sha=…`.
fn parse_version_line(line: &str) -> Option<(Flavor, Version)> {
    let mut words = line.split_whitespace();
    let flavor = match words.next()? {
        "Redis" => Flavor::Redis,
        "Valkey" => Flavor::Valkey,
        _ => return None,
    };
    let numbers = words.find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = numbers
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Some((
        flavor,
        Version {
            major: next(),
            minor: next(),
            patch: next(),
        },
    ))
}

fn select(all: &[Binary], wanted: &str) -> Result<Vec<Binary>, String> {
    let mut selected: Vec<Binary> = Vec::new();
    for name in wanted.split([',', ' ']).filter(|name| !name.is_empty()) {
        let matching: Vec<&Binary> = all
            .iter()
            .filter(|binary| name == "all" || binary.answers_to(name))
            .collect();
        if matching.is_empty() {
            let there: Vec<String> = all.iter().map(Binary::to_string).collect();
            return Err(format!(
                "TIDINGS_TEST_SERVERS asks for {name:?}, and there is none: found {}",
                there.join(", ")
            ));
        }
        for binary in matching {
            if !selected.contains(binary) {
                selected.push(binary.clone());
            }
        }
    }
    Ok(selected)
}

fn ends(all: &[Binary]) -> Vec<Binary> {
    let of = |flavor| all.iter().filter(move |binary| binary.flavor == flavor);
    let mut ends: Vec<Binary> = Vec::new();
    for binary in [
        of(Flavor::Redis).next(),
        of(Flavor::Redis).next_back(),
        of(Flavor::Valkey).next_back(),
    ]
    .into_iter()
    .flatten()
    {
        if !ends.contains(binary) {
            ends.push(binary.clone());
        }
    }
    ends
}

fn candidates() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (variable, flavor) in [
        ("TIDINGS_REDIS_SERVER", Flavor::Redis),
        ("TIDINGS_VALKEY_SERVER", Flavor::Valkey),
    ] {
        for path in env::var_os(variable).iter().flat_map(env::split_paths) {
            // A folder stands for the program in it.
            paths.push(if path.is_dir() {
                path.join(flavor.program())
            } else {
                path
            });
        }
    }
    for folder in env::var_os("PATH").iter().flat_map(env::split_paths) {
        paths.extend([Flavor::Redis, Flavor::Valkey].map(|flavor| folder.join(flavor.program())));
    }
    for target in target_folders() {
        let Ok(entries) = target.join("servers").read_dir() else {
            continue;
        };
        let mut suites: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        suites.sort();
        for suite in suites {
            let bin = suite.join("bin");
            paths.extend([Flavor::Redis, Flavor::Valkey].map(|flavor| bin.join(flavor.program())));
        }
    }
    paths.retain(|path| path.is_file());
    paths
}

fn target_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("CARGO_TARGET_DIR")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    let starts = [
        env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        env::current_dir().ok(),
    ];
    for start in starts.into_iter().flatten() {
        folders.extend(start.ancestors().map(|folder| folder.join("target")));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(flavor: Flavor, major: u32, minor: u32, patch: u32) -> Binary {
        Binary {
            flavor,
            version: Version::new(major, minor, patch),
            path: PathBuf::new(),
        }
    }

    fn five() -> Vec<Binary> {
        vec![
            binary(Flavor::Redis, 7, 0, 15),
            binary(Flavor::Redis, 8, 0, 2),
            binary(Flavor::Redis, 8, 0, 6),
            binary(Flavor::Valkey, 8, 1, 1),
            binary(Flavor::Valkey, 9, 1, 2),
        ]
    }

    fn names(binaries: &[Binary]) -> Vec<String> {
        binaries.iter().map(Binary::to_string).collect()
    }

    #[test]
    fn the_first_word_tells_the_flavor() {
        let line = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(
            parse_version_line(line),
            Some((Flavor::Redis, Version::new(7, 0, 15)))
        );
        let line = "Valkey server v=9.1.2 sha=00000000:0";
        assert_eq!(
            parse_version_line(line),
            Some((Flavor::Valkey, Version::new(9, 1, 2)))
        );
        assert_eq!(parse_version_line("Usage: something else"), None);
        assert_eq!(parse_version_line(""), None);
    }

    #[test]
    fn versions_order_by_number_not_by_text() {
        assert!(Version::new(7, 0, 15) > Version::new(7, 0, 9));
        assert!(Version::new(10, 0, 0) > Version::new(9, 9, 9));
    }

    #[test]
    fn the_default_matrix_is_the_ends_of_redis_and_the_newest_valkey() {
        assert_eq!(
            names(&ends(&five())),
            ["redis-7.0.15", "redis-8.0.6", "valkey-9.1.2"]
        );
        assert_eq!(names(&ends(&five()[..1])), ["redis-7.0.15"]);
    }

    #[test]
    fn a_list_of_names_selects() {
        let selected = |wanted| select(&five(), wanted).map(|selected| names(&selected));
        assert_eq!(selected("all").map(|all| all.len()), Ok(5));
        assert_eq!(selected("redis-8").unwrap(), ["redis-8.0.2", "redis-8.0.6"]);
        assert_eq!(selected("valkey, redis-7.0.15").unwrap().len(), 3);
        // A name is not a prefix of digits: 8.0.6 is no 8.0.60.
        assert!(selected("redis-8.0.60").is_err());
        assert!(
            selected("redis-7.0.1")
                .unwrap_err()
                .contains("valkey-9.1.2")
        );
    }
}
