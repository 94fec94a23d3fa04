//! The benchmarks themselves, on a little work: whether they measure is seen in their tables.

use std::process::Command;

const BENCH: &str = env!("CARGO_BIN_EXE_tidings-bench");
const COUNTING: &str = env!("CARGO_BIN_EXE_tidings-bench-allocations");

/// Runs a benchmark, and gives the rows of its tables in columns, without their heads.
fn rows(program: &str, arguments: &str) -> Vec<Vec<String>> {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let columns = |row: &str| {
        let row = row.trim_matches('|').split('|');
        row.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(columns).collect()
}

/// Each of `names`, which may be parted by spaces, has a row in each of so many tables.
#[track_caller]
fn assert_all_take_part(rows: &[Vec<String>], tables: usize, names: &str) {
    for name in names.split(' ') {
        let own = rows.iter().filter(|row| row[0] == name);
        assert_eq!(own.count(), tables, "{name} in {rows:#?}");
    }
}

#[test]
fn drain_brings_everybody_every_message() {
    let rows = rows(BENCH, "drain --runs 1 --messages 2001 --sizes 16,65536,mix");
    assert_all_take_part(
        &rows,
        3,
        "raw raw-tokio tidings tidings-mt rustis redis redis-push fred",
    );
    for row in &rows {
        let (messages, lost) = (&row[2], &row[7]);
        assert_eq!((messages.as_str(), lost.as_str()), ("2001", "0"), "{row:?}");
    }
}

#[test]
fn sharded_brings_every_message_of_all_nodes() {
    let rows = rows(
        BENCH,
        "sharded --runs 1 --messages 2001 --shapes 1/16,3/256",
    );
    assert_all_take_part(&rows, 2, "plain sharded plain-blocking sharded-blocking");
    for row in &rows {
        let (messages, lost) = (&row[1], &row[5]);
        assert_eq!((messages.as_str(), lost.as_str()), ("2001", "0"), "{row:?}");
    }
}

#[test]
fn fanout_brings_every_subscriber_every_message() {
    let shapes = "1x1x16,100x1x4096,40x20x16";
    let rows = rows(
        BENCH,
        &format!("fanout --runs 1 --deliveries 20000 --shapes {shapes}"),
    );
    assert_all_take_part(&rows, 3, "tidings");
    assert_all_take_part(&rows, 2, "fred");
    for row in &rows {
        let (deliveries, lost) = (&row[1], &row[5]);
        assert_eq!(
            (deliveries.as_str(), lost.as_str()),
            ("20.0k", "0"),
            "{row:?}"
        );
    }
}

#[test]
fn those_who_take_turns_tell_how_long_things_took() {
    let blocking = rows(BENCH, "blocking --runs 2 --commands 20");
    assert_all_take_part(&blocking, 2, "tidings redis");
    let stalled = rows(BENCH, "stalled --runs 2 --messages 20 --subscribers 10");
    assert_eq!(stalled.len(), 2, "{stalled:?}");
    for row in blocking.iter().chain(&stalled) {
        let median = row[1].split(' ').next().unwrap();
        assert!(median.parse::<f64>().unwrap() > 0.0, "{row:?}");
    }
}

#[test]
fn pipelines_of_everybody_get_the_replies_that_are_due() {
    let rows = rows(
        BENCH,
        "pipeline --runs 1 --commands 200 --sizes 10,1000,multi",
    );
    assert_all_take_part(&rows, 3, "raw tidings rustis redis fred");
}

#[test]
fn pipelines_over_a_cluster_get_the_replies_that_are_due() {
    let rows = rows(BENCH, "cluster --runs 1 --commands 200 --sizes 10,1000");
    assert_all_take_part(&rows, 2, "tidings tidings-blocking rustis redis fred");
}

#[test]
fn everybody_publishes_from_many_tasks_and_from_one() {
    let rows = rows(BENCH, "publish --runs 1 --publishes 640 --tasks 64,1");
    assert_all_take_part(&rows, 2, "raw tidings rustis redis fred");
}

#[test]
fn allocations_are_counted_where_the_allocator_counts() {
    let rows = rows(COUNTING, "allocations --runs 1 --commands 1000");
    assert_all_take_part(&rows, 4, "tidings rustis redis fred");
    for row in &rows {
        for figure in &row[1..] {
            assert!(figure.parse::<f64>().unwrap() > 0.0, "{row:?}");
        }
    }

    let rows = self::rows(COUNTING, "subscriptions --runs 1 --names 1000");
    assert_all_take_part(&rows, 1, "PubSub Subscription");
    for row in &rows {
        let bytes: f64 = row[1].parse().unwrap();
        assert!(bytes > 20.0, "more than its name: {row:?}");
    }

    let refused = Command::new(BENCH).arg("allocations").output().unwrap();
    assert!(!refused.status.success());
}
