//! The Redis and Valkey servers on this machine: found, installed, brought.
//!
//! What is found here is what the testkit finds (its `binaries.rs`): the same variables and folders in
//! the same order, so that what `cargo xtask test` says it covered is what its tests ran on.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::project::{on_path, root, run, shown};
use crate::report::seconds;

/// The suites that `cargo xtask servers` brings: a stable one, and the newest there is.
const SUITES: [&str; 2] = ["trixie", "sid"];

const PROGRAMS: [(&str, &str); 2] = [
    ("redis-server", "TIDINGS_REDIS_SERVER"),
    ("valkey-server", "TIDINGS_VALKEY_SERVER"),
];

/// `cargo xtask servers`: a server of this system, and newer ones beside it.
pub(crate) fn command() -> Result<(), String> {
    if system_servers().is_empty() {
        // Those of the suites may do instead.
        install()
            .unwrap_or_else(|problem| eprintln!("warning: no server of this system: {problem}"));
    }
    for server in system_servers() {
        println!("{:<8} {server} at {}", "system", server.path.display());
    }
    for suite in SUITES {
        match bring(suite) {
            Ok(said) => println!("{suite:<8} {said}"),
            Err(problem) => eprintln!("warning: no servers of {suite}: {problem}"),
        }
    }
    if found().is_empty() {
        return Err(NONE.to_owned());
    }
    Ok(())
}

/// Has at least one server to run on, installing one where there is none.
pub(crate) fn ensure() -> Result<(), String> {
    if !found().is_empty() {
        return Ok(());
    }
    println!("Neither redis-server nor valkey-server is on this machine.");
    install().map_err(|problem| format!("{problem}; {NONE}"))
}

const NONE: &str = "there is no Redis or Valkey server to run on. Install one (`apt install \
    redis-server`, `dnf install valkey`, `brew install valkey`, ...) or give the path of one in \
    TIDINGS_REDIS_SERVER or TIDINGS_VALKEY_SERVER, then try again";

/// One server program that answers `--version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Server {
    /// `Redis` or `Valkey`, as the program says itself.
    pub(crate) flavor: String,
    pub(crate) version: (u32, u32, u32),
    path: PathBuf,
}

impl Server {
    /// As the testkit names it.
    pub(crate) fn name(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{}-{major}.{minor}.{patch}", self.flavor.to_lowercase())
    }

    fn at(path: &Path) -> Option<Self> {
        let output = Command::new(path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let (flavor, version) = version_line(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            flavor,
            version,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version;
        write!(out, "{} {major}.{minor}.{patch}", self.flavor)
    }
}

/// Reads `Redis server v=7.0.15 sha=...` and `Valkey server v=9.1.2 sha=...`.
fn version_line(line: &str) -> Option<(String, (u32, u32, u32))> {
    let mut words = line.split_whitespace();
    let flavor = words
        .next()
        .filter(|word| ["Redis", "Valkey"].contains(word))?;
    let version = words.find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = version
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Some((flavor.to_owned(), (next(), next(), next())))
}

/// All servers on this machine, one of each version, Redis before Valkey, the oldest first.
pub(crate) fn found() -> Vec<Server> {
    let mut suites: Vec<PathBuf> = fs::read_dir(folder())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    suites.sort();
    let mut servers = system_servers();
    for server in suites.iter().flat_map(|bin| servers_in(bin)) {
        let same = |other: &Server| other.name() == server.name();
        if !servers.iter().any(same) {
            servers.push(server);
        }
    }
    servers.sort();
    servers
}

/// Those that the environment names, and those on the `PATH`.
fn system_servers() -> Vec<Server> {
    let mut paths = Vec::new();
    for (program, variable) in PROGRAMS {
        for path in env::var_os(variable).iter().flat_map(env::split_paths) {
            paths.push(if path.is_dir() {
                path.join(program)
            } else {
                path
            });
        }
    }
    let mut servers: Vec<Server> = paths.iter().filter_map(|path| Server::at(path)).collect();
    for bin in env::var_os("PATH").iter().flat_map(env::split_paths) {
        servers.extend(servers_in(&bin));
    }
    let mut seen = Vec::new();
    servers.retain(|server| {
        let new = !seen.contains(&server.name());
        seen.push(server.name());
        new
    });
    servers
}

fn servers_in(bin: &Path) -> Vec<Server> {
    PROGRAMS
        .iter()
        .map(|(program, _)| bin.join(program))
        .filter(|path| path.is_file())
        .filter_map(|path| Server::at(&path))
        .collect()
}

fn folder() -> PathBuf {
    root().join("target").join("servers")
}

/// Unpacks the servers of a Debian suite into `target/servers/`, unless they are there and run.
fn bring(suite: &str) -> Result<String, String> {
    let folder = folder().join(suite);
    let there = servers_in(&folder.join("bin"));
    if !there.is_empty() {
        return Ok(format!("{} were there already", listed(&there)));
    }
    let started = Instant::now();
    let output = Command::new("sh")
        .arg(root().join("xtask").join("servers.sh"))
        .arg(suite)
        .arg(&folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("sh: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let brought = servers_in(&folder.join("bin"));
    if brought.is_empty() {
        return Err("what was unpacked does not run here".to_owned());
    }
    let took = seconds(started.elapsed());
    Ok(format!(
        "brought {} in {took}, into target/servers/{suite}/bin",
        listed(&brought)
    ))
}

pub(crate) fn listed(servers: &[Server]) -> String {
    let names: Vec<String> = servers.iter().map(Server::to_string).collect();
    names.join(", ")
}

/// How a system installs packages, and what it calls a server.
struct Manager {
    program: &'static str,
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    /// The first one that can be installed is enough.
    packages: &'static [&'static str],
    needs_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: &["update"],
        install: &["install", "--yes", "--no-install-recommends"],
        packages: &["redis-server", "valkey-server"],
        needs_root: true,
    },
    Manager {
        program: "dnf",
        refresh: &[],
        install: &["install", "--assumeyes"],
        packages: &["valkey", "redis"],
        needs_root: true,
    },
    Manager {
        program: "apk",
        refresh: &[],
        install: &["add", "--no-cache"],
        packages: &["valkey", "redis"],
        needs_root: true,
    },
    Manager {
        program: "pacman",
        refresh: &[],
        install: &["-Sy", "--noconfirm"],
        packages: &["valkey", "redis"],
        needs_root: true,
    },
    Manager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        packages: &["valkey", "redis"],
        needs_root: false,
    },
];

/// Gets a server from the system's package manager.
///
/// A Debian package also starts a service, which we neither need nor want. In a container and as root
/// there is none to start; elsewhere its programs are unpacked into `target/servers/` if possible, and
/// installed only if not.
fn install() -> Result<(), String> {
    let manager = MANAGERS
        .iter()
        .find(|manager| on_path(manager.program))
        .ok_or("no package manager that we know is here")?;
    let root = is_root();
    let starts_services = Path::new("/run/systemd/system").is_dir();
    if manager.program == "apt-get" && (!root || starts_services) {
        match own_suite().map(|suite| (bring(&suite), suite)) {
            Some((Ok(said), suite)) => {
                println!("{suite:<8} {said}");
                return Ok(());
            }
            Some((Err(problem), _)) => eprintln!("warning: could not unpack one: {problem}"),
            None => {}
        }
    }
    if manager.needs_root && !root && !on_path("sudo") {
        return Err("installing one takes root".to_owned());
    }
    let command = |arguments: &[&str]| {
        let mut command = if manager.needs_root && !root {
            let mut sudo = Command::new("sudo");
            // sudo resets the environment: `env` sets it again. Without a terminal nobody can type a
            // password: -n fails instead of asking.
            sudo.args(["-n", "env"]).args(QUIETLY).arg(manager.program);
            sudo
        } else {
            let mut env = Command::new("env");
            env.args(QUIETLY).arg(manager.program);
            env
        };
        command.args(arguments);
        command
    };
    if !manager.refresh.is_empty() {
        let mut refresh = command(manager.refresh);
        println!("Refreshing the list of packages: {}", shown(&refresh));
        // An old list may still do.
        run(&mut refresh).unwrap_or_else(|problem| eprintln!("warning: {problem}"));
    }
    for package in manager.packages {
        let mut install = command(manager.install);
        install.arg(package);
        println!("Installing a server: {}", shown(&install));
        match run(&mut install) {
            Ok(()) if !found().is_empty() => return Ok(()),
            Ok(()) => eprintln!("warning: {package} brought no server onto the PATH"),
            Err(problem) => eprintln!("warning: {problem}"),
        }
    }
    Err(format!("{} installed none", manager.program))
}

/// Asks nothing, and in run level 1 the packages' init scripts start nothing.
const QUIETLY: [&str; 2] = ["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"];

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn own_suite() -> Option<String> {
    fs::read_to_string("/etc/os-release")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|suite| suite.trim_matches('"').to_owned())
        .filter(|suite| !suite.is_empty())
}

/// The servers that the tests run on: the newest of each minor version, such as Redis 7.0.
pub(crate) fn one_of_each(servers: &[Server]) -> Vec<Server> {
    let series = |server: &Server| (server.flavor.clone(), server.version.0, server.version.1);
    servers
        .iter()
        .filter(|server| {
            let newer =
                |other: &Server| series(other) == series(server) && other.version > server.version;
            !servers.iter().any(newer)
        })
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(flavor: &str, version: (u32, u32, u32)) -> Server {
        Server {
            flavor: flavor.to_owned(),
            version,
            path: PathBuf::new(),
        }
    }

    #[test]
    fn a_version_line_tells_flavor_and_version() {
        let line = "Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(version_line(line), Some(("Valkey".to_owned(), (9, 1, 2))));
        assert_eq!(version_line("nginx version: 1.2"), None);
        assert_eq!(version_line(""), None);
    }

    #[test]
    fn the_newest_of_each_minor_version_is_tested() {
        let all = [
            server("Redis", (7, 0, 15)),
            server("Redis", (8, 0, 2)),
            server("Redis", (8, 0, 6)),
            server("Valkey", (8, 0, 1)),
            server("Valkey", (8, 1, 1)),
        ];
        let names: Vec<String> = one_of_each(&all).iter().map(Server::name).collect();
        assert_eq!(
            names,
            [
                "redis-7.0.15",
                "redis-8.0.6",
                "valkey-8.0.1",
                "valkey-8.1.1"
            ]
        );
    }
}
