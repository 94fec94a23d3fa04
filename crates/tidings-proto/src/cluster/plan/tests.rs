use proptest::prelude::*;

use super::*;
use crate::{
    FromReply, Reply, Value,
    cluster::{merge::NodeReply, node::Address, slot::Slot},
    cmd,
};

fn plan(line: &str) -> Result<Plan, Problem> {
    let mut words = line.split(' ');
    Plan::of(cmd(words.next().unwrap()).arg(words).view())
}

fn value(frame: &[u8]) -> Value {
    Value::from_reply(Reply::parse(frame).unwrap()).unwrap()
}

#[test]
fn a_command_goes_where_its_keys_and_its_policy_say() {
    assert!(matches!(plan("SET a 1"), Ok(Plan::Slot(slot)) if slot == Slot::of_key(b"a")));
    assert!(matches!(plan("SPUBLISH a 1"), Ok(Plan::Slot(slot)) if slot == Slot::of_key(b"a")));
    assert!(matches!(plan("MGET {a}1 {a}2"), Ok(Plan::Slot(_))));
    assert!(matches!(
        plan("EVAL script 0"),
        Ok(Plan::Nodes(Target::AnyNode, Merge::First))
    ));
    assert!(matches!(
        plan("FLUSHALL"),
        Ok(Plan::Nodes(Target::AllPrimaries, Merge::AllSucceeded))
    ));
    assert!(matches!(
        plan("SCAN 0"),
        Ok(Plan::Nodes(Target::EachInTurn, _))
    ));
    assert_eq!(plan("SMOVE a b m").unwrap_err(), Problem::SeveralSlots);
    assert_eq!(plan("MSETNX a 1 b 2").unwrap_err(), Problem::SeveralSlots);
    let slot = |plan| match plan {
        Ok(Plan::Slot(slot) | Plan::Near(slot)) => slot,
        other => panic!("{other:?}"),
    };
    // Of what nobody knows, the first argument is taken for the key.
    assert_eq!(slot(plan("JSON.GET a b")), Slot::of_key(b"a"));
    assert_eq!(plan("FT._LIST").unwrap_err(), Problem::UnknownCommand);
    assert!(matches!(plan("PUBLISH a b"), Ok(Plan::Near(_))));
    assert_eq!(slot(plan("PUBLISH a b")), Slot::of_key(b"a"));
}

#[test]
fn commands_that_mean_the_same_for_each_key_are_split() {
    let parts = |line: &str| -> Vec<String> {
        let Ok(Plan::Split(split)) = plan(line) else {
            panic!("{line}")
        };
        split
            .parts()
            .iter()
            .map(|part| {
                assert_eq!(part.command().slot(), CommandSlot::One(part.slot()));
                part.command().to_string()
            })
            .collect()
    };
    assert_eq!(parts("del a b {a}c"), ["del a {a}c", "del b"]);
    assert_eq!(parts("MSET a 1 b 2 a 3"), ["MSET a 1 a 3", "MSET b 2"]);
    for name in ["UNLINK", "EXISTS", "TOUCH", "MGET"] {
        assert_eq!(
            parts(&format!("{name} a b")),
            [format!("{name} a"), format!("{name} b")]
        );
    }
    // The server's own words for what is wrong are better.
    assert!(Split::of(cmd("MSET").arg(["a", "1", "b"]).view()).is_none());
    assert!(Split::of(cmd("DEL").view()).is_none());
}

#[test]
fn the_replies_of_parts_become_one() {
    let join = |line: &str, replies: &[&str]| {
        let Ok(Plan::Split(split)) = plan(line) else {
            panic!("{line}")
        };
        let replies: Vec<&[u8]> = replies.iter().map(|reply| reply.as_bytes()).collect();
        split
            .join(&replies)
            .map(|frame| String::from_utf8(frame).unwrap())
    };
    assert_eq!(join("DEL a b", &[":1\r\n", ":0\r\n"]).unwrap(), ":1\r\n");
    assert_eq!(
        join("MSET a 1 b 2", &["+OK\r\n", "+OK\r\n"]).unwrap(),
        "+OK\r\n"
    );
    let some = join(
        "MGET a b a",
        &["*2\r\n$1\r\nx\r\n$1\r\nx\r\n", "*1\r\n$-1\r\n"],
    )
    .unwrap();
    assert_eq!(some, "*3\r\n$1\r\nx\r\n$-1\r\n$1\r\nx\r\n");
    for line in ["MGET a b", "DEL a b", "MSET a 1 b 2"] {
        let failed = join(line, &["-NOPERM no\r\n", "-ERR b\r\n"]).unwrap();
        assert_eq!(failed, "-NOPERM no\r\n", "{line}");
        assert!(join(line, &[":1\r\n"]).is_err(), "{line}");
    }
    for odd in ["*2\r\n:1\r\n:2\r\n", "*0\r\n", ":1\r\n", "_\r\n"] {
        assert!(join("MGET a b", &["*1\r\n:1\r\n", odd]).is_err(), "{odd}");
    }
    assert!(join("DEL a b", &[":1\r\n", "+OK\r\n"]).is_err());
}

#[test]
fn replies_of_nodes_are_merged_as_the_policy_says() {
    let nodes: Vec<Address> = ["::1", "b", "c"]
        .map(|host| Address::new(host, 7000))
        .into();
    let merge = |merge: Merge, frames: &[&str]| {
        let replies = nodes
            .iter()
            .zip(frames)
            .map(|(node, frame)| NodeReply::new(node, frame.as_bytes()));
        let merged = merge.replies(&replies.collect::<Vec<_>>());
        merged.map(|frame| String::from_utf8(frame).unwrap().replace("\r\n", " "))
    };
    let is = |how, frames: &[&str], expected| {
        assert_eq!(merge(how, frames).unwrap(), expected, "{how:?}");
    };
    is(Merge::AllSucceeded, &["+OK\r\n", "+OK\r\n"], "+OK ");
    is(Merge::AllSucceeded, &["+OK\r\n", "-ERR no\r\n"], "-ERR no ");
    is(Merge::OneSucceeded, &["-NOTBUSY a\r\n", "+OK\r\n"], "+OK ");
    is(
        Merge::OneSucceeded,
        &["-NOTBUSY a\r\n", "-ERR b\r\n"],
        "-NOTBUSY a ",
    );
    is(Merge::FirstThere, &["_\r\n", "$1\r\nk\r\n"], "$1 k ");
    is(Merge::FirstThere, &["$-1\r\n", "_\r\n"], "$-1 ");
    is(Merge::Sum, &[":1\r\n", ":2\r\n", ":39\r\n"], ":42 ");
    is(Merge::Min, &[":3\r\n", ":2\r\n"], ":2 ");
    is(
        Merge::Min,
        &["*2\r\n:1\r\n:5\r\n", "*2\r\n:0\r\n:6\r\n"],
        "*2 :0 :5 ",
    );
    is(
        Merge::And,
        &["*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:1\r\n"],
        "*2 :0 :1 ",
    );
    is(
        Merge::Concat,
        &["*1\r\n$1\r\na\r\n", "*0\r\n", "*2\r\n:1\r\n*1\r\n:2\r\n"],
        "*3 $1 a :1 *1 :2 ",
    );
    is(
        Merge::Union,
        &[
            "*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            "*2\r\n$1\r\nb\r\n$1\r\nc\r\n",
        ],
        "*3 $1 a $1 b $1 c ",
    );
    is(
        Merge::SumByName,
        &[
            "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n",
            "*4\r\n$1\r\na\r\n:2\r\n$1\r\nb\r\n:5\r\n",
        ],
        "*4 $1 a :3 $1 b :5 ",
    );
    is(Merge::SumByName, &["*0\r\n", "*0\r\n"], "*0 ");
    is(
        Merge::PerNode,
        &["$1\r\nx\r\n", "$1\r\ny\r\n"],
        "%2 $10 [::1]:7000 $1 x $6 b:7000 $1 y ",
    );
    is(
        Merge::PerNode,
        &["$1\r\nx\r\n", "-NOPERM y\r\n"],
        "-NOPERM y ",
    );
    for (how, frames) in [
        (Merge::Sum, &[":1\r\n", "+OK\r\n"]),
        (Merge::Sum, &[":9223372036854775807\r\n", ":1\r\n"]),
        (Merge::And, &["*1\r\n:1\r\n", "*0\r\n"]),
        (Merge::Concat, &["*1\r\n:1\r\n", ":1\r\n"]),
        (
            Merge::SumByName,
            &["*2\r\n$1\r\na\r\n:1\r\n", "*2\r\n$1\r\nb\r\n:1\r\n"],
        ),
        (Merge::SumByName, &["*2\r\n$1\r\na\r\n:1\r\n", "*0\r\n"]),
    ] {
        assert!(merge(how, frames).is_err(), "{how:?} {frames:?}");
    }
    assert!(merge(Merge::First, &[]).is_err());
}

proptest! {
    /// A server that has all slots, and one a slot: the same comes out.
    #[test]
    fn a_split_command_answers_as_the_whole_would(keys in prop::collection::vec("[a-k]{1,2}", 1..40)) {
        let get = cmd("MGET").arg(&keys);
        if let Some(split) = Split::of(get.view()) {
            let frames: Vec<Vec<u8>> = split.parts().iter().map(|part| {
                let command = part.command();
                let mut frame = format!("*{}\r\n", command.len()).into_bytes();
                for key in command.args() {
                    frame.extend(format!("${}\r\n", key.len()).into_bytes());
                    frame.extend(key);
                    frame.extend(b"\r\n");
                }
                frame
            }).collect();
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let joined = Vec::<String>::from_reply(Reply::parse(&split.join(&frames).unwrap()).unwrap());
            prop_assert_eq!(&joined.unwrap(), &keys);
        }
        let delete = cmd("DEL").arg(&keys);
        let parts = Split::of(delete.view()).unwrap();
        let frames: Vec<String> = parts.parts().iter().map(|part| format!(":{}\r\n", part.command().len())).collect();
        let frames: Vec<&[u8]> = frames.iter().map(String::as_bytes).collect();
        prop_assert_eq!(value(&parts.join(&frames).unwrap()), Value::Integer(i64::try_from(keys.len()).unwrap()));
    }

    /// Whatever nodes answer, and however little it fits together.
    #[test]
    fn no_replies_make_a_merge_panic(
        frames in prop::collection::vec(prop::sample::select(vec![
            ":1\r\n", ":-5\r\n", ":9223372036854775807\r\n", "+OK\r\n", "-ERR no\r\n", "_\r\n", "$-1\r\n", "*0\r\n",
            "*2\r\n$1\r\na\r\n:1\r\n", "*1\r\n$1\r\na\r\n", "%1\r\n$1\r\na\r\n:1\r\n", "*2\r\n:1\r\n", "$5\r\nab", "",
            "*2\r\n:0\r\n:1\r\n", "#t\r\n", "*1\r\n:1\r\n", "|1\r\n+a\r\n:1\r\n*1\r\n:1\r\n",
        ]), 0..5),
    ) {
        let node = Address::new("a", 1);
        let replies: Vec<NodeReply<'_>> = frames.iter().map(|frame| NodeReply::new(&node, frame.as_bytes())).collect();
        for merge in [
            Merge::First, Merge::AllSucceeded, Merge::OneSucceeded, Merge::FirstThere, Merge::Sum, Merge::Min,
            Merge::And, Merge::Concat, Merge::Union, Merge::SumByName, Merge::PerNode,
        ] {
            let _ = merge.replies(&replies);
        }
        let all: Vec<&[u8]> = frames.iter().map(|frame| frame.as_bytes()).collect();
        for command in [cmd("MGET").arg(["a", "b"]), cmd("DEL").arg(["a", "b"]), cmd("MSET").arg(["a", "1", "b", "2"])] {
            let _ = Split::of(command.view()).unwrap().join(&all);
        }
    }
}
