//! `cargo xtask test`: everything.

use std::env;

use crate::project::{cargo, packages, run};
use crate::report::Report;
use crate::{fuzz, servers, spec};

/// Names the servers that the tests run on; the testkit reads it.
const SERVERS_VARIABLE: &str = "TIDINGS_TEST_SERVERS";

pub(crate) fn command() -> Result<(), String> {
    servers::ensure()?;
    let found = servers::found();
    let (wanted, covered) = match env::var(SERVERS_VARIABLE) {
        Ok(wanted) if !wanted.trim().is_empty() => (wanted.clone(), wanted),
        _ => {
            let each = servers::one_of_each(&found);
            let names: Vec<String> = each.iter().map(servers::Server::name).collect();
            (names.join(","), servers::listed(&each))
        }
    };
    println!("Testing on {covered}.");

    let mut report = Report::new();
    report.step("tests and documentation tests", || {
        let test = ["test", "--all-features", "--no-fail-fast"];
        run(cargo(&test).env(SERVERS_VARIABLE, &wanted))
    });
    feature_combinations(&mut report);
    fuzz::steps(&mut report);
    report.step("specification", spec::landed);

    let mut remarks = vec![format!("Servers covered: {covered}.")];
    for flavor in ["Redis", "Valkey"] {
        if !found.iter().any(|server| server.flavor == flavor) {
            remarks.push(format!(
                "No {flavor} was tested: there is none here. `cargo xtask servers` brings one on Debian."
            ));
        }
    }
    report.close(&remarks)
}

/// Features only add: each crate builds without any, with each alone, and with all.
fn feature_combinations(report: &mut Report) {
    report.step("feature combinations", || {
        for package in packages()? {
            let mut sets = vec![String::new()];
            sets.extend(package.features.iter().cloned());
            if package.features.len() > 1 {
                sets.push(package.features.join(","));
            }
            for set in sets {
                println!("{} [{set}]", package.name);
                let check = [
                    "check",
                    "--quiet",
                    "--package",
                    &package.name,
                    "--no-default-features",
                ];
                run(cargo(&check).args(["--features", &set]))?;
            }
        }
        Ok(())
    });
}
