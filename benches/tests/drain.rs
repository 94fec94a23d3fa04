//! The benchmark itself, on a few messages: whether it measures is seen in its tables.

use std::process::Command;

#[test]
fn every_contestant_that_is_there_gets_every_message() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings-bench"))
        .args([
            "drain",
            "--runs",
            "1",
            "--messages",
            "2001",
            "--sizes",
            "16,65536,mix",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    for name in [
        "raw",
        "raw-tokio",
        "tidings",
        "tidings-mt",
        "rustis",
        "redis",
        "redis-push",
        "fred",
    ] {
        assert_eq!(
            rows.iter().filter(|row| row[1] == name).count(),
            3,
            "{text}"
        );
    }
    for row in rows {
        let (messages, lost) = (row[3], row[8]);
        assert_eq!((messages, lost), ("2001", "0"), "{text}");
    }
}
