//! `cargo xtask spec`: which items of `spec.txt` have tests.
//!
//! A test belongs to the item that its name starts with: `ps_04_each_name_is_confirmed` checks PS-04,
//! and so does every test in a module or a file of that name. Ignored tests check nothing.
//!
//! What a subscriber does is to hold for its asynchronous and for its blocking face: its items need a case
//! in one of the [`TABLES`] of the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::project::root;

/// The last milestone whose items are all expected to be tested.
const LANDED: &str = "D";

/// What the numbers of items begin with that are to hold for both faces.
const OF_BOTH_FACES: [&str; 14] = [
    "PS", "HN", "IG", "GM", "IT", "RN", "EN", "QU-02", "PC", "SB", "RX", "CL", "SH", "MO-03",
];

/// Begin a table of cases that are tested through both faces: on servers or clusters that cases share, or on clusters
/// that each has to itself.
const TABLES: [&str; 2] = ["on_both_faces! {", "on_own_clusters! {"];

const LIST: &str = include_str!("../spec.txt");

pub(crate) fn command(arguments: &[String]) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => report(None),
        ["--due"] => report(Some(LANDED)),
        ["--due", milestone @ ("A" | "B" | "C" | "D")] => report(Some(milestone)),
        _ => Err("usage: cargo xtask spec [--due A|B|C|D]".to_owned()),
    }
}

/// What has been promised so far is tested.
pub(crate) fn landed() -> Result<(), String> {
    report(Some(LANDED))
}

/// Prints each item with the number of its tests and of its cases for both faces, and fails if an item that is due has
/// none, or a test names no item.
fn report(due: Option<&str>) -> Result<(), String> {
    let items = items(LIST);
    let mut tests = Tests::default();
    scan_folder(&root().join("crates"), &items, &mut tests)?;

    println!("item  due tests  both faces");
    let (mut missing, mut one_faced) = (Vec::new(), Vec::new());
    for item in &items {
        if due.is_some_and(|milestone| item.milestone > milestone) {
            continue;
        }
        let count = tests.of.get(item.number).copied().unwrap_or(0);
        let both = tests.of_both_faces.get(item.number).copied().unwrap_or(0);
        println!(
            "{} {} {:>7} {:>5}  {}",
            item.number,
            item.milestone,
            shown(count),
            shown(both),
            item.title
        );
        if count == 0 {
            missing.push(item.number);
        } else if both == 0 && OF_BOTH_FACES.iter().any(|of| item.number.starts_with(of)) {
            one_faced.push(item.number);
        }
    }
    let all: usize = tests.of.values().sum();
    println!("{all} tests name an item.");
    if !missing.is_empty() {
        println!("{} items have none: {}", missing.len(), missing.join(" "));
    }
    if !one_faced.is_empty() {
        let (count, list) = (one_faced.len(), one_faced.join(" "));
        println!("{count} items have no case for both faces: {list}");
    }
    if !tests.unknown.is_empty() {
        return Err(format!(
            "no item has the number of {}",
            tests.unknown.join(", ")
        ));
    }
    match due {
        Some(milestone) if !missing.is_empty() => Err(format!(
            "{} items due by {milestone} have no test",
            missing.len()
        )),
        Some(_) if !one_faced.is_empty() => Err(format!(
            "{} items are tested through one face only",
            one_faced.len()
        )),
        _ => Ok(()),
    }
}

fn shown(count: usize) -> String {
    match count {
        0 => "-".to_owned(),
        _ => count.to_string(),
    }
}

struct Item {
    /// As in PS-04.
    number: &'static str,
    milestone: &'static str,
    title: &'static str,
}

fn items(list: &'static str) -> Vec<Item> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let (number, rest) = line.split_once("  ")?;
            let (milestone, title) = rest.split_once("  ")?;
            Some(Item {
                number,
                milestone,
                title,
            })
        })
        .collect()
}

#[derive(Default)]
struct Tests {
    /// How many there are by item.
    of: BTreeMap<&'static str, usize>,
    /// How many of them are cases for both faces.
    of_both_faces: BTreeMap<&'static str, usize>,
    /// Names like those of items that are no items.
    unknown: Vec<String>,
}

fn scan_folder(folder: &Path, items: &[Item], tests: &mut Tests) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            scan_folder(&path, items, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let source = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            scan(&source, numbered(&stem), items, tests);
        }
    }
    Ok(())
}

/// Counts the tests of one file, which rustfmt has formatted: a module ends where a `}` stands below
/// its `mod`.
fn scan(source: &str, file: Option<String>, items: &[Item], tests: &mut Tests) {
    let mut modules: Vec<(usize, Option<String>)> = vec![(0, file)];
    let (mut is_test, mut is_ignored) = (false, false);
    let mut in_table = false;
    for line in source.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if TABLES.contains(&code) {
            in_table = true;
        } else if in_table {
            in_table = code != "}";
            if let Some(number) = code.strip_suffix(',').and_then(numbered) {
                tests.count_for_both_faces(&number, items);
            }
        } else if code.starts_with("#[") {
            is_test |= code.contains("test");
            is_ignored |= code.starts_with("#[ignore");
        } else if let Some(name) = defined(code, "mod ").filter(|_| code.ends_with('{')) {
            let outer = modules.last().and_then(|(_, item)| item.clone());
            modules.push((indent, numbered(name).or(outer)));
        } else if code == "}" && modules.len() > 1 && modules.last().is_some_and(|m| m.0 == indent)
        {
            modules.pop();
        } else if let Some(name) = defined(code, "fn ") {
            let of_module = || modules.last().and_then(|(_, item)| item.clone());
            let number = numbered(name).or_else(|| of_module().filter(|_| is_test));
            if let Some(number) = number.filter(|_| !is_ignored) {
                tests.count(&number, name, items);
            }
            (is_test, is_ignored) = (false, false);
        }
    }
}

impl Tests {
    /// A case in a table; its function is counted as a test where it stands.
    fn count_for_both_faces(&mut self, number: &str, items: &[Item]) {
        if let Some(item) = items.iter().find(|item| item.number == number) {
            *self.of_both_faces.entry(item.number).or_default() += 1;
        }
    }

    fn count(&mut self, number: &str, name: &str, items: &[Item]) {
        if let Some(item) = items.iter().find(|item| item.number == number) {
            *self.of.entry(item.number).or_default() += 1;
        } else if items.iter().any(|item| item.number[..2] == number[..2]) {
            self.unknown.push(name.to_owned());
        }
    }
}

/// The name that this line defines with `keyword`, whatever stands before it.
fn defined<'a>(code: &'a str, keyword: &str) -> Option<&'a str> {
    let (before, after) = code.split_once(keyword)?;
    let qualifies = |word: &str| word.starts_with("pub") || ["async", "const"].contains(&word);
    if !before.split_whitespace().all(qualifies) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some(&after[..end.unwrap_or(after.len())])
}

/// PS-04 for `ps_04_and_what_it_does`; nothing for a name without a number.
fn numbered(name: &str) -> Option<String> {
    let mut parts = name.splitn(3, '_');
    let (letters, digits) = (parts.next()?, parts.next()?);
    let is_number = letters.len() == 2
        && letters.chars().all(|c| c.is_ascii_lowercase())
        && digits.len() == 2
        && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| format!("{}-{digits}", letters.to_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(source: &str, file: &str) -> Tests {
        let mut tests = Tests::default();
        scan(source, numbered(file), &items(LIST), &mut tests);
        tests
    }

    #[test]
    fn every_line_of_the_list_is_an_item() {
        let lines = LIST
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let items = items(LIST);
        assert_eq!(items.len(), lines.count());
        for item in items {
            assert_eq!(item.number.len(), 5, "{}", item.number);
            assert!(
                ["A", "B", "C", "D"].contains(&item.milestone),
                "{}",
                item.number
            );
        }
    }

    #[test]
    fn tests_are_counted_by_their_names() {
        let tests = scanned(
            "#[test]\nfn ps_04_counts() {}\n\n#[tokio::test]\nasync fn ps_04_in_order() {}\n\n\
             // fn ps_04_not_this() {}\n#[test]\nfn other() {}\n",
            "pubsub",
        );
        assert_eq!(tests.of["PS-04"], 2);
        assert_eq!(tests.of.len(), 1);
    }

    #[test]
    fn a_module_gives_its_number_to_its_tests_and_to_nothing_below_it() {
        let tests = scanned(
            "mod hn_01_handlers {\n    #[test]\n    fn plain() {}\n\n    fn helper() {\n    }\n\
             \n    #[test]\n    fn asynchronous() {}\n}\n\n#[test]\nfn outside() {}\n",
            "handlers",
        );
        assert_eq!(tests.of["HN-01"], 2);
        assert_eq!(tests.of.len(), 1);
        assert_eq!(
            scanned("#[test]\nfn any() {}\n", "gm_01_waits").of["GM-01"],
            1
        );
    }

    #[test]
    fn a_case_in_a_table_is_one_test_that_holds_for_both_faces() {
        let tests = scanned(
            "on_both_faces! {\n    [plain]\n    ps_04_in_order,\n    hn_01_runs,\n}\n\n\
             async fn ps_04_in_order(case: Case) {}\n\nasync fn hn_01_runs(case: Case) {}\n\n\
             #[test]\nfn ps_04_alone() {}\n",
            "messages",
        );
        assert_eq!((tests.of["PS-04"], tests.of["HN-01"]), (2, 1));
        assert_eq!(tests.of_both_faces["PS-04"], 1);
        assert_eq!(tests.of_both_faces["HN-01"], 1);
    }

    #[test]
    fn a_case_on_a_cluster_of_its_own_holds_for_both_faces_too() {
        let tests = scanned(
            "on_own_clusters! {\n    [primaries]\n    pc_01_adds_up,\n    [with_replicas]\n    \
             mo_03_merges,\n}\n\nasync fn pc_01_adds_up(case: Case) {}\n\n\
             async fn mo_03_merges(case: Case) {}\n",
            "counting",
        );
        assert_eq!((tests.of["PC-01"], tests.of["MO-03"]), (1, 1));
        assert_eq!(tests.of_both_faces["PC-01"], 1);
        assert_eq!(tests.of_both_faces["MO-03"], 1);
    }

    #[test]
    fn an_ignored_test_checks_nothing() {
        let tests = scanned(
            "#[test]\n#[ignore = \"slow\"]\nfn ps_10_large() {}\n\n#[test]\nfn ps_10_small() {}\n",
            "pubsub",
        );
        assert_eq!(tests.of["PS-10"], 1);
    }

    #[test]
    fn a_number_that_is_no_item_is_told() {
        let tests = scanned(
            "#[test]\nfn ps_99_wrong() {}\n\n#[test]\nfn to_10_digits() {}\n",
            "x",
        );
        assert_eq!(tests.unknown, ["ps_99_wrong"]);
    }
}
