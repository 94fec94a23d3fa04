use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::cluster::{Access, Address, Problem, RedirectLimits, Slot, SlotMap};
use crate::{CommandRef, CommandWriter, Reply};

/// A map of so many shards with as many slots each, of which each has a replica.
pub(super) fn map(shards: u16) -> SlotMap {
    use crate::cluster::{Asked, Topology};
    let size = 16384 / shards;
    let mut text = String::new();
    for shard in 0..shards {
        let last = if shard + 1 == shards {
            16383
        } else {
            (shard + 1) * size - 1
        };
        text += &format!(
            "*4 :{} :{last} *2 $1 p :{} *2 $1 r :{} ",
            shard * size,
            7000 + shard,
            8000 + shard
        );
    }
    let wire = crate::cluster::replies::wire(&format!("*{shards} {text}"));
    let asked = Address::new("asked", 1);
    let mut map = SlotMap::new();
    map.apply(
        &Topology::from_slots(Reply::parse(&wire).unwrap(), Asked::new(&asked, false)).unwrap(),
    );
    map
}

pub(super) fn pipeline(lines: &[&str]) -> Vec<u8> {
    let mut buffer = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        CommandWriter::new(&mut buffer, words.next().unwrap()).arg(words);
    }
    buffer
}

fn planned(
    bytes: &[u8],
    map: &SlotMap,
    reads: Access,
    turn: usize,
) -> Result<PipelinePlan, PipelineRefusal> {
    PipelinePlan::new(PipelineCommands::new(bytes), map, reads, |slot, access| {
        let node = map.node_for(slot, access, turn);
        Some(
            node.or_else(|| map.any_node(access, turn))?
                .address()
                .clone(),
        )
    })
}

#[test]
fn cp_01_a_pipeline_is_grouped_by_node_and_its_replies_keep_their_order() {
    // Slots 12182 (third), 5061 (first), 866 (first).
    let bytes = pipeline(&["SET foo 1", "SET bar 2", "GET hello", "GET foo", "DEL bar"]);
    let plan = planned(&bytes, &map(3), Access::Write, 0).unwrap();
    let sent: Vec<(u16, Vec<u8>)> = plan
        .groups()
        .iter()
        .map(|group| {
            let sent = group.encoded(PipelineCommands::new(&bytes));
            assert_eq!(group.length(), sent.len());
            let (first, _) = CommandRef::split_first(&sent).unwrap();
            assert_eq!(group.first_length(), first.as_bytes().len());
            (group.node().port(), sent)
        })
        .collect();
    assert_eq!(
        sent,
        [
            (7002, pipeline(&["SET foo 1", "GET foo"])),
            (7000, pipeline(&["SET bar 2", "GET hello", "DEL bar"])),
        ]
    );
    assert_eq!(plan.order(), [0, 1, 1, 0, 1]);
    // What lies behind each other is one piece.
    assert_eq!(plan.groups()[1].pieces().len(), 2);
}

#[test]
fn cp_02_a_command_that_is_not_for_one_slot_is_refused_by_number_and_name() {
    let map = map(3);
    for (line, expected) in [
        (
            "PING",
            "command 2 (PING): it has no key that says which node is to run it",
        ),
        (
            "MGET foo bar",
            "command 2 (MGET foo bar): its keys are in several slots",
        ),
        (
            "PUBLISH foo bar",
            "command 2 (PUBLISH foo bar): it has no key that says which node is to run it",
        ),
        (
            "FT._LIST",
            "command 2 (FT._LIST): it is not known where its keys are",
        ),
    ] {
        let bytes = pipeline(&["GET foo", line, "GET bar"]);
        let refused = planned(&bytes, &map, Access::Write, 0).unwrap_err();
        assert_eq!(
            (refused.to_string().as_str(), refused.command()),
            (expected, 2)
        );
    }
    let refused = planned(&pipeline(&["GET foo"]), &SlotMap::new(), Access::Write, 0);
    assert_eq!(refused.unwrap_err().problem(), Problem::NoNode);
    let none = planned(b"", &SlotMap::new(), Access::Write, 0).unwrap();
    assert!(none.is_empty());
}

#[test]
fn cp_04_what_only_reads_goes_to_replicas_if_wanted() {
    let bytes = pipeline(&["SET foo 1", "GET foo", "STRLEN foo"]);
    let ports = |reads| -> Vec<u16> {
        let plan = planned(&bytes, &map(3), reads, 5).unwrap();
        let groups = plan.order().iter();
        groups
            .map(|group| plan.groups()[usize::from(*group)].node().port())
            .collect()
    };
    assert_eq!(ports(Access::Write), [7002, 7002, 7002]);
    assert_eq!(ports(Access::ReadFromReplica), [7002, 8002, 8002]);
}

#[test]
fn a_slot_of_nobody_goes_to_a_node_that_knows_better() {
    let mut map = SlotMap::new();
    map.learn_moved(Slot::of_key(b"foo"), &Address::new("a", 7000));
    let plan = planned(&pipeline(&["GET bar"]), &map, Access::Write, 0).unwrap();
    assert_eq!(plan.groups()[0].node().host(), "a");
}

/// Two scripts, the second of which is first called where the first one was not.
fn with_scripts() -> (Vec<u8>, [usize; 2], [(usize, usize); 4]) {
    let bytes = pipeline(&[
        "SET foo 1",
        "SCRIPT LOAD one",
        "EVALSHA 1 1 foo",
        "EVALSHA 1 1 bar",
        "SCRIPT LOAD two",
        "EVALSHA 2 1 bar",
        "EVALSHA 1 1 foo",
    ]);
    (bytes, [1, 4], [(1, 0), (2, 0), (3, 1), (4, 0)])
}

#[test]
fn pl_08_each_node_is_given_the_scripts_that_it_is_to_run() {
    let (bytes, loads, calls) = with_scripts();
    let commands = PipelineCommands::new(&bytes).with_scripts(&loads, &calls);
    let map = map(3);
    let node = |slot, access| Some(map.node_for(slot, access, 0)?.address().clone());
    let plan = PipelinePlan::new(commands, &map, Access::Write, node).unwrap();
    let [foo, bar] = plan.groups() else { panic!() };
    assert_eq!(
        foo.encoded(commands),
        pipeline(&[
            "SET foo 1",
            "SCRIPT LOAD one",
            "EVALSHA 1 1 foo",
            "EVALSHA 1 1 foo"
        ])
    );
    assert_eq!(
        bar.encoded(commands),
        pipeline(&[
            "SCRIPT LOAD one",
            "EVALSHA 1 1 bar",
            "SCRIPT LOAD two",
            "EVALSHA 2 1 bar"
        ])
    );
    assert_eq!(plan.order(), [0, 0, 1, 1, 0]);
    assert_eq!((foo.replies(), bar.replies()), (4, 4));
    let of = |group| plan.replies_of(group).collect::<Vec<_>>();
    assert_eq!(of(0), [Some(0), None, Some(1), Some(4)]);
    assert_eq!(of(1), [None, Some(2), None, Some(3)]);

    // Their replies are left out, and one that could not be loaded says so in the place of its call.
    let answer = FlightAnswer::<()> {
        parts: vec![Bytes::from_static(
            b"-NOPERM no\r\n-NOSCRIPT none\r\n+abc\r\n:7\r\n",
        )],
        loss: None,
    };
    let limits = RedirectLimits::default();
    let resend = Resend::begin(&plan, 1, commands, &answer, limits, Instant::now()).unwrap();
    let mended = mend(plan.replies_of(1), &answer.parts, resend.into_ended()).unwrap();
    assert_eq!(mended.parts.concat(), b"-NOPERM no\r\n:7\r\n");
    assert!(mended.failed.is_empty());
}

#[test]
fn pl_08_another_node_is_given_the_script_too() {
    let (bytes, loads, calls) = with_scripts();
    let commands = PipelineCommands::new(&bytes).with_scripts(&loads, &calls);
    let map = map(3);
    let node = |slot, access| Some(map.node_for(slot, access, 0)?.address().clone());
    let plan = PipelinePlan::new(commands, &map, Access::Write, node).unwrap();
    let answer = FlightAnswer {
        parts: vec![Bytes::from_static(
            b"+OK\r\n+abc\r\n-ASK 12182 b:1\r\n-ASK 12182 b:1\r\n",
        )],
        loss: None,
    };
    let now = Instant::now();
    let limits = RedirectLimits::default();
    let mut resend = Resend::begin(&plan, 0, commands, &answer, limits, now).unwrap();
    assert!(resend.next_round(now).unwrap().is_zero());
    let [flight] = &resend.flights(commands, &(), |_, _| None)[..] else {
        panic!()
    };
    let (sent, first) = flight.encoded(&plan, commands);
    let expected = [
        "SCRIPT LOAD one",
        "ASKING",
        "EVALSHA 1 1 foo",
        "ASKING",
        "EVALSHA 1 1 foo",
    ];
    assert_eq!(sent, pipeline(&expected));
    assert_eq!(first, pipeline(&expected[..1]).len());
    assert_eq!((flight.to().host(), flight.replies()), ("b", 5));
    let answer = FlightAnswer {
        parts: vec![Bytes::from_static(b"+abc\r\n+OK\r\n:1\r\n+OK\r\n:2\r\n")],
        loss: None,
    };
    resend
        .handle(&plan, commands, flight, &answer, now)
        .unwrap();
    assert!(resend.next_round(now).is_none());
    let first = [Bytes::from_static(
        b"+OK\r\n+abc\r\n-ASK 12182 b:1\r\n-ASK 12182 b:1\r\n",
    )];
    let mended = mend(plan.replies_of(0), &first, resend.into_ended()).unwrap();
    assert_eq!(mended.parts.concat(), b"+OK\r\n:1\r\n:2\r\n");
}

type Ended = BTreeMap<usize, Outcome<&'static str>>;

/// A pipeline for one node that was answered so, and what is to be sent next: the hosts with the commands, and what has
/// come to an end.
fn after(lines: &[&str], answer: &FlightAnswer<&'static str>) -> (Vec<(String, String)>, Ended) {
    let bytes = pipeline(lines);
    let commands = PipelineCommands::new(&bytes);
    let plan = planned(&bytes, &map(1), Access::Write, 0).unwrap();
    let now = Instant::now();
    let limits = RedirectLimits::default();
    let mut resend = Resend::begin(&plan, 0, commands, answer, limits, now).unwrap();
    let _ = resend.next_round(now);
    let find = |_, _| Some(Address::new("known", 1));
    let flights = resend.flights(commands, &"nowhere", find);
    let shown = flights.iter().map(|flight| {
        let (sent, _) = flight.encoded(&plan, commands);
        let mut rest = &sent[..];
        let mut lines = Vec::new();
        while let Some((command, tail)) = CommandRef::split_first(rest) {
            lines.push(command.to_string());
            rest = tail;
        }
        (flight.to().host().to_owned(), lines.join("; "))
    });
    (shown.collect(), resend.into_ended())
}

fn answered(wire: &'static str) -> FlightAnswer<&'static str> {
    FlightAnswer {
        parts: vec![Bytes::from_static(wire.as_bytes())],
        loss: None,
    }
}

fn flights(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = expected
        .iter()
        .map(|(to, lines)| (to.to_string(), lines.to_string()));
    owned.collect()
}

#[test]
fn cp_03_those_of_a_slot_that_moves_go_on_in_their_order_and_the_others_are_done() {
    let (next, ended) = after(
        &["INCR {a}1", "INCR {b}1", "INCR {a}2", "INCR {a}1"],
        &answered("-MOVED 15495 b:1\r\n:1\r\n-MOVED 15495 b:1\r\n-MOVED 15495 b:1\r\n"),
    );
    assert_eq!(next, flights(&[("b", "INCR {a}1; INCR {a}2; INCR {a}1")]));
    assert!(ended.is_empty());
    // Some keys have gone already.
    let (next, ended) = after(
        &["INCR {a}1", "INCR {a}2", "INCR {a}1"],
        &answered("-ASK 15495 b:1\r\n:7\r\n-ASK 15495 b:1\r\n"),
    );
    assert_eq!(
        next,
        flights(&[("b", "ASKING; INCR {a}1; ASKING; INCR {a}1")])
    );
    assert!(ended.is_empty());
}

#[test]
fn cp_03_what_goes_elsewhere_than_the_first_of_its_slot_waits_for_it() {
    let (next, _) = after(
        &[
            "INCR {a}1",
            "MGET {a}1 {a}2",
            "INCR {a}1",
            "INCR b",
            "INCR c",
        ],
        &answered(
            "-ASK 15495 b:1\r\n-TRYAGAIN no\r\n-ASK 15495 b:1\r\n-CLUSTERDOWN no\r\n-LOADING no\r\n",
        ),
    );
    assert_eq!(
        next,
        flights(&[("b", "ASKING; INCR {a}1"), ("known", "INCR b; INCR c")])
    );
    // It may be refused again, and those behind it not.
    let (next, _) = after(
        &["MGET {a}1 {a}2", "INCR {a}1"],
        &answered("-TRYAGAIN no\r\n-CLUSTERDOWN no\r\n"),
    );
    assert_eq!(next, flights(&[("known", "MGET {a}1 {a}2")]));
}

#[test]
fn cp_03_what_was_overtaken_on_its_own_key_is_not_run_any_more() {
    let reply = Bytes::from_static(b"-CLUSTERDOWN no\r\n");
    let overtaken = |by| Outcome::Overtaken {
        reply: reply.clone(),
        by,
    };
    let (next, ended) = after(
        &["SET a 1", "SET b 1", "GET a", "SET a 2"],
        &answered("-CLUSTERDOWN no\r\n-CLUSTERDOWN no\r\n-CLUSTERDOWN no\r\n+OK\r\n"),
    );
    assert_eq!(next, flights(&[("known", "SET b 1")]));
    assert_eq!(
        ended,
        BTreeMap::from([(0, overtaken(3)), (2, overtaken(3))])
    );
    // Reading twice is no change; reading what was not written is.
    let (next, ended) = after(
        &["SET a 1", "GET a", "GET {a}2", "GET a"],
        &answered("-CLUSTERDOWN no\r\n-CLUSTERDOWN no\r\n-CLUSTERDOWN no\r\n:1\r\n"),
    );
    assert_eq!(next, flights(&[("known", "GET a; GET {a}2")]));
    assert_eq!(ended, BTreeMap::from([(0, overtaken(3))]));
}

#[test]
fn cp_03_of_what_was_lost_only_reads_and_what_had_not_left_are_sent_again() {
    let lines = [
        "INCR a", "INCR a", "GET b", "GET a", "SET a 1", "INCR a", "INCR b",
    ];
    let left = pipeline(&lines[..5]).len() + 3;
    let loss = |left, again| FlightAnswer {
        parts: vec![Bytes::from_static(b":1\r\n")],
        loss: Some(Loss {
            left,
            in_doubt: "in doubt",
            unsent: "unsent",
            again,
        }),
    };
    let (next, ended) = after(&lines, &loss(left, true));
    assert_eq!(next, flights(&[("known", "GET b; INCR a; INCR b")]));
    let failed = |places: &[usize], why| {
        places
            .iter()
            .map(|place| (*place, Outcome::Failed(why)))
            .collect::<BTreeMap<_, _>>()
    };
    // The third reads what the fourth may have written.
    assert_eq!(ended, failed(&[1, 3, 4], "in doubt"));
    let (next, ended) = after(&lines, &loss(left, false));
    assert!(next.is_empty());
    let mut expected = failed(&[1, 2, 3, 4], "in doubt");
    expected.extend(failed(&[5, 6], "unsent"));
    assert_eq!(ended, expected);
}

#[test]
fn replies_that_are_missing_are_an_error() {
    let bytes = pipeline(&["GET a", "GET a"]);
    let commands = PipelineCommands::new(&bytes);
    let plan = planned(&bytes, &map(1), Access::Write, 0).unwrap();
    for wire in [":1\r\n", ":1\r\n:", "", ":1\r\n?\r\n"] {
        let answer = answered(wire);
        let begun = Resend::begin(
            &plan,
            0,
            commands,
            &answer,
            RedirectLimits::default(),
            Instant::now(),
        );
        assert!(begun.is_err(), "{wire:?}");
        let none = BTreeMap::<usize, Outcome<()>>::new();
        assert!(
            mend(plan.replies_of(0), &answer.parts, none).is_err(),
            "{wire:?}"
        );
    }
}

proptest! {
    /// Nodes that answer each command with its number: whatever the commands are, the numbers come back in order.
    #[test]
    fn cp_01_replies_come_back_in_the_order_of_the_commands(keys in prop::collection::vec("[a-f]{1,2}", 0..60), shards in 1..9_u16) {
        let mut bytes = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            CommandWriter::new(&mut bytes, "SET").arg(key).arg(number);
        }
        let plan = planned(&bytes, &map(shards), Access::Write, 0).unwrap();
        prop_assert_eq!(plan.len(), keys.len());
        let mut answered: Vec<std::vec::IntoIter<usize>> = Vec::new();
        for (place, group) in plan.groups().iter().enumerate() {
            let encoded = group.encoded(PipelineCommands::new(&bytes));
            let mut rest = &encoded[..];
            let mut numbers = Vec::new();
            while let Some((sent, tail)) = CommandRef::split_first(rest) {
                rest = tail;
                numbers.push(String::from_utf8_lossy(sent.args().nth(1).unwrap()).parse().unwrap());
            }
            prop_assert!(rest.is_empty());
            prop_assert!(plan.replies_of(place).eq(numbers.iter().map(|number| Some(*number))));
            answered.push(numbers.into_iter());
        }
        let nodes = plan.groups().iter().map(NodeGroup::node).collect::<HashSet<_>>();
        prop_assert_eq!(nodes.len(), plan.groups().len());
        let ordered = plan.order().iter().map(|group| answered[usize::from(*group)].next().unwrap());
        prop_assert!(ordered.eq(0..keys.len()));
    }

    /// However the replies are cut into parts, and whichever of them have others in their places.
    #[test]
    fn mended_replies_are_those_of_the_commands(
        count in 0..20_usize,
        cuts in prop::collection::vec(0..20_usize, 0..4),
        other in prop::collection::btree_map(0..20_usize, 0..3_u8, 0..20),
        hidden in prop::collection::btree_set(0..20_usize, 0..5),
    ) {
        let mut parts = vec![Vec::new()];
        for reply in 0..count {
            if cuts.contains(&reply) {
                parts.push(Vec::new());
            }
            parts.last_mut().unwrap().extend(format!("$2\r\n{reply:02}\r\n").into_bytes());
        }
        let parts: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
        let replies_of = (0..count).map(|reply| (!hidden.contains(&reply)).then_some(reply));
        let mut expected = Vec::new();
        let mut ended = BTreeMap::new();
        let mut failed = Vec::new();
        for place in replies_of.clone().flatten() {
            match other.get(&place) {
                None => expected.push(format!("{place:02}")),
                Some(0) => {
                    ended.insert(place, Outcome::Reply(Bytes::from("$2\r\n**\r\n")));
                    expected.push("**".to_owned());
                }
                Some(_) => {
                    ended.insert(place, Outcome::Failed("lost"));
                    failed.push((place, Outcome::Failed("lost")));
                }
            }
        }
        let mended = mend(replies_of, &parts, ended).unwrap();
        let wire = mended.parts.concat();
        let mut rest = &wire[..];
        let mut replies = Vec::new();
        while let Some((reply, tail)) = Reply::split(rest).unwrap() {
            let Reply::Bulk(text) = reply else { panic!() };
            replies.push(String::from_utf8_lossy(&text).into_owned());
            rest = tail;
        }
        prop_assert_eq!(replies, expected);
        prop_assert_eq!(mended.failed, failed);
    }
}
